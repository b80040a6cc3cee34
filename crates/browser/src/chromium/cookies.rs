//! The parts of a browser that outlive it: cookies, and the list of files that a profile leaves
//! out.
//!
//! A browser that is closed writes cookies with an expiry (`expires` is set) to its directory, but
//! not session cookies, so they are read before it ends and set again in the next browser.

use std::fmt;
use std::path::PathBuf;

use chromiumoxide_types::{Command, Method, MethodId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::broker::commands::BrowserError;
use crate::chromium::browser::Browser;

/// The number of cookies that one command sets: a few hundred kilobytes at most.
const BATCH: usize = 64;

/// Parts of the user data directory that Chromium recreates, or that belong to one machine: caches,
/// crash reports, and the locks that show a second Chromium that the first is running.
const EXCLUDED: [&str; 25] = [
    "BrowserMetrics",
    "BrowserMetrics-spare.pma",
    "Crashpad",
    "Crash Reports",
    "DevToolsActivePort",
    "GraphiteDawnCache",
    "GrShaderCache",
    "ShaderCache",
    "SingletonCookie",
    "SingletonLock",
    "SingletonSocket",
    "component_crx_cache",
    "extensions_crx_cache",
    "optimization_guide_model_store",
    "Safe Browsing",
    "Default/Cache",
    "Default/Code Cache",
    "Default/DawnCache",
    "Default/DawnGraphiteCache",
    "Default/DawnWebGPUCache",
    "Default/GPUCache",
    "Default/Session Storage",
    "Default/Sessions",
    "Default/Shared Dictionary/cache",
    "Default/blob_storage",
];

/// The subdirectory of a browser's directory that holds its profile.
pub const PROFILE_DIR: &str = "user-data";

/// Returns the paths in [`PROFILE_DIR`] that a profile leaves out.
pub fn profile_exclusions() -> Vec<PathBuf> {
    EXCLUDED.iter().map(PathBuf::from).collect()
}

/// One cookie, with the members that CDP's `Network.Cookie` and `Network.CookieParam` share. Some
/// values are passed through unparsed, so that values of newer Chromium versions work too.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cookie {
    name: String,
    value: String,
    domain: String,
    path: String,
    secure: bool,
    http_only: bool,
    /// Seconds since 1970, or `None` for a session cookie. Chromium uses -1 for those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    same_site: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    priority: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source_scheme: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source_port: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partition_key: Option<Value>,
}

/// Cookies of a browser. Their order is not significant.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CookieJar(Vec<Cookie>);

impl fmt::Debug for CookieJar {
    /// Prints only the number of cookies, because their values are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CookieJar({})", self.0.len())
    }
}

impl CookieJar {
    /// Keeps only the session cookies.
    #[must_use]
    pub fn session_cookies(mut self) -> CookieJar {
        self.0.retain(|cookie| cookie.expires.is_none());
        self
    }

    /// Returns the number of cookies.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if there are no cookies.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Debug, Serialize)]
struct GetCookies {}

#[derive(Debug, Deserialize)]
struct GotCookies {
    cookies: Vec<Value>,
}

#[derive(Serialize)]
struct SetCookies<'a> {
    cookies: &'a [Cookie],
}

#[derive(Debug, Serialize)]
struct ClearCookies {}

impl Method for GetCookies {
    fn identifier(&self) -> MethodId {
        "Storage.getCookies".into()
    }
}

impl Command for GetCookies {
    type Response = GotCookies;
}

impl Method for SetCookies<'_> {
    fn identifier(&self) -> MethodId {
        "Storage.setCookies".into()
    }
}

impl Command for SetCookies<'_> {
    type Response = Value;
}

impl Method for ClearCookies {
    fn identifier(&self) -> MethodId {
        "Storage.clearCookies".into()
    }
}

impl Command for ClearCookies {
    type Response = Value;
}

impl Browser {
    /// Returns all cookies of the default context, except those of opaque partitions, which cannot
    /// be named.
    pub async fn cookies(&self) -> Result<CookieJar, BrowserError> {
        let got = self.broker().call(None, GetCookies {}).await?;
        let cookies = got
            .cookies
            .into_iter()
            .filter(|cookie| cookie["partitionKeyOpaque"] != true);
        let read = |cookie| serde_json::from_value::<Cookie>(cookie).ok();
        let mut jar: Vec<Cookie> = cookies.filter_map(read).collect();
        for cookie in &mut jar {
            cookie.expires = cookie.expires.filter(|seconds| *seconds >= 0.0);
        }
        Ok(CookieJar(jar))
    }

    /// Adds cookies to the default context. Skips cookies that the browser rejects.
    pub async fn add_cookies(&self, jar: &CookieJar) -> Result<(), BrowserError> {
        for batch in jar.0.chunks(BATCH) {
            match self.set_cookies(batch).await {
                // One rejected cookie prevents the others of its batch from being set.
                Err(BrowserError::Rejected { .. }) => self.add_cookies_singly(batch).await?,
                outcome => outcome?,
            }
        }
        Ok(())
    }

    /// Adds cookies one at a time. Skips cookies that the browser rejects.
    async fn add_cookies_singly(&self, cookies: &[Cookie]) -> Result<(), BrowserError> {
        for cookie in cookies.chunks(1) {
            match self.set_cookies(cookie).await {
                Err(error @ BrowserError::Rejected { .. }) => {
                    tracing::debug!(%error, "cookie skipped");
                }
                outcome => outcome?,
            }
        }
        Ok(())
    }

    async fn set_cookies(&self, cookies: &[Cookie]) -> Result<(), BrowserError> {
        self.broker()
            .call(None, SetCookies { cookies })
            .await
            .map(drop)
    }

    /// Replaces all cookies of the default context.
    pub async fn replace_cookies(&self, jar: &CookieJar) -> Result<(), BrowserError> {
        self.broker().call(None, ClearCookies {}).await?;
        self.add_cookies(jar).await
    }
}
