//! What of a browser outlives it: cookies, and which of its files are worth keeping.
//!
//! A browser that is closed writes what belongs to no session of its own (`expires` is set) into
//! its folder. Cookies without an expiry it forgets, so they are asked for before and set again in
//! the next one.

use std::fmt;
use std::path::PathBuf;

use chromiumoxide_types::{Command, Method, MethodId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::broker::commands::BrowserError;
use crate::chromium::browser::Browser;

/// How many cookies are set by one command: some hundred kilobytes at the most.
const BATCH: usize = 64;

/// What in the browser's folder of user data is made anew when it is missing, and what is another
/// machine's business: caches, crash reports, and how a second Chromium of the same folder is told.
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

/// The folder below a browser's own that is its profile.
pub const PROFILE_DIR: &str = "user-data";

/// The places in [`PROFILE_DIR`] that are no part of a profile.
pub fn profile_exclusions() -> Vec<PathBuf> {
    EXCLUDED.iter().map(PathBuf::from).collect()
}

/// One cookie, as CDP's `Network.Cookie` and `Network.CookieParam` have it in common. Some kinds of
/// values are only handed on, so that a newer Chromium's are, too.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cookie {
    name: String,
    value: String,
    domain: String,
    path: String,
    secure: bool,
    http_only: bool,
    /// Seconds since 1970; none for a cookie that ends with the browser. Chromium says -1 for that.
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

/// Cookies of a browser. Their order has no meaning.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CookieJar(Vec<Cookie>);

impl fmt::Debug for CookieJar {
    /// Without the cookies, which nobody is to see.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CookieJar({})", self.0.len())
    }
}

impl CookieJar {
    /// Those that end with the browser.
    #[must_use]
    pub fn session_cookies(mut self) -> CookieJar {
        self.0.retain(|cookie| cookie.expires.is_none());
        self
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
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
    /// All cookies of the default context, but those of a partition that cannot be named.
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

    /// Puts cookies into the default context, beside those that are there. Cookies that the browser
    /// refuses are left out.
    pub async fn add_cookies(&self, jar: &CookieJar) -> Result<(), BrowserError> {
        for batch in jar.0.chunks(BATCH) {
            match self
                .broker()
                .call(None, SetCookies { cookies: batch })
                .await
            {
                // One that it does not like keeps it from setting the others.
                Err(BrowserError::Refused { .. }) => {
                    for cookie in batch.chunks(1) {
                        match self
                            .broker()
                            .call(None, SetCookies { cookies: cookie })
                            .await
                        {
                            Ok(_) => {}
                            Err(error @ BrowserError::Refused { .. }) => {
                                tracing::debug!(%error, "a cookie is left out");
                            }
                            Err(error) => return Err(error),
                        }
                    }
                }
                outcome => drop(outcome?),
            }
        }
        Ok(())
    }

    /// The same instead of those that are there.
    pub async fn replace_cookies(&self, jar: &CookieJar) -> Result<(), BrowserError> {
        self.broker().call(None, ClearCookies {}).await?;
        self.add_cookies(jar).await
    }
}
