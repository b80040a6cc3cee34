//! Every setting: a flag and a `HEARTH_*` variable each, read and checked once, here and nowhere
//! else.
//!
//! The doc comments of [`Settings`] are the text of `hearth serve --help`.

mod describe;
mod egress;
mod isolation;
mod keys;
mod limits;
mod log;
mod origins;
mod profiles;
mod retention;

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use hearth_browser::Viewport;
use hearth_confine::UserIds;
use hearth_egress::{AllowList, Mode, Policy, Upstream};
use thiserror::Error;

pub(crate) use self::describe::{Described, describe};
use self::egress::{EgressSettings, parse_allow, parse_allow_metadata, parse_mode, parse_upstream};
use self::isolation::{IsolationSettings, judge_isolation, judge_uids};
use self::keys::{KeySettings, parse_keys};
use self::limits::{LimitSettings, parse_limits};
pub(crate) use self::log::LogConfig;
use self::log::{LogSettings, parse_log};
use self::origins::{parse_frame_ancestors, parse_listen, parse_public_url, refuse_keyless};
use self::profiles::{ProfileSettings, parse_checkpoint};
use self::retention::{RetentionSettings, parse_retention};
use crate::capacity::{memory_bytes, plan_max_sessions};
use crate::http::auth::Keys;
use crate::limits::Limits;
use crate::sandbox::Level;
use crate::store::Retention;

/// The longest data directory in bytes: a socket path has 108 (`unix(7)`), and Chromium wants 62 of
/// them below it.
const MAX_DATA_DIR_BYTES: usize = 45;

/// Where Debian puts the two browsers. The programs in `/usr/bin` are scripts that add flags and a
/// process.
const SHELL_PATH: &str = "/usr/lib/chromium/chromium-headless-shell";
const CHROMIUM_PATH: &str = "/usr/lib/chromium/chromium";

/// The settings as they come from the command line and the environment.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "The server")]
#[expect(
    clippy::doc_markdown,
    reason = "the comments are the text of --help, which shows no markup"
)]
pub(crate) struct Settings {
    /// Address and port to listen on; beyond loopback only with keys
    #[arg(
        long,
        env = "HEARTH_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:3010"
    )]
    listen: String,

    /// Origin under which clients reach the server, such as https://hearth.example; the links in
    /// answers start with it [default: the Host header of the request]
    #[arg(long, env = "HEARTH_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,

    /// Who may show the live view in a frame, as sources of a Content-Security-Policy: `*`,
    /// `'none'`, `'self'`, or origins such as https://app.example, separated by spaces
    #[arg(
        long,
        env = "HEARTH_FRAME_ANCESTORS",
        value_name = "SOURCES",
        default_value = "*"
    )]
    frame_ancestors: String,

    /// Where sessions keep their files, a path of at most 45 bytes, for Chromium's sockets are
    /// below it [default: hearth in the user's data folder; for root /var/lib/hearth]
    #[arg(long, env = "HEARTH_DATA_DIR", value_name = "PATH")]
    data_dir: Option<String>,

    /// Where the kernels and what they need are [default: `runtime` of the repository]
    #[arg(long, env = "HEARTH_RUNTIME_DIR", value_name = "PATH")]
    runtime_dir: Option<String>,

    /// The browser: `shell` (chromium-headless-shell), `chromium`, or the path of either; `make
    /// setup` installs what is named
    #[arg(
        long,
        env = "HEARTH_BROWSER",
        value_name = "BROWSER",
        default_value = "shell"
    )]
    browser: String,

    /// User agent of the browsers [default: the browser's own, without "Headless"]
    #[arg(long, env = "HEARTH_USER_AGENT", value_name = "TEXT")]
    user_agent: Option<String>,

    /// Size of pages in CSS pixels
    #[arg(
        long,
        env = "HEARTH_VIEWPORT",
        value_name = "WIDTHxHEIGHT",
        default_value = "1280x720"
    )]
    viewport: String,

    /// How many sessions there may be at once [default: by memory, one for every 512 MiB after the
    /// first GiB]
    #[arg(long, env = "HEARTH_MAX_SESSIONS", value_name = "NUMBER")]
    max_sessions: Option<String>,

    /// How much of each of stdout, stderr and the result of an execution is kept, in bytes; of more
    /// the middle is dropped, and `truncated` is set
    #[arg(
        long,
        env = "HEARTH_MAX_OUTPUT_BYTES",
        value_name = "BYTES",
        default_value = "10485760"
    )]
    max_output_bytes: String,

    /// How long code may go on once the server is told to stop (SIGTERM, SIGINT), in seconds; new
    /// sessions and new executions get a 503 meanwhile, a second signal stops at once, and so does
    /// 0
    #[arg(
        long,
        env = "HEARTH_STOP_GRACE_SECONDS",
        value_name = "SECONDS",
        default_value = "5"
    )]
    stop_grace_seconds: String,

    #[command(flatten)]
    keys: KeySettings,

    #[command(flatten)]
    isolation: IsolationSettings,

    #[command(flatten)]
    egress: EgressSettings,

    #[command(flatten)]
    limits: LimitSettings,

    #[command(flatten)]
    retention: RetentionSettings,

    #[command(flatten)]
    profiles: ProfileSettings,

    #[command(flatten)]
    log: LogSettings,
}

/// A setting that cannot be used, or a part of the set-up that is missing: one sentence that says
/// what to do.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct ConfigError(pub String);

/// The settings, checked.
#[derive(Debug)]
pub(crate) struct Config {
    pub listen: SocketAddr,
    pub keys: Keys,
    /// Scheme and authority, without a slash at the end.
    pub public_url: Option<String>,
    /// Sources of a Content-Security-Policy.
    pub frame_ancestors: String,
    pub data_dir: PathBuf,
    pub runtime_dir: PathBuf,
    pub browser: PathBuf,
    pub user_agent: Option<String>,
    pub viewport: Viewport,
    pub max_sessions: usize,
    pub max_output_bytes: usize,
    pub isolation: Level,
    pub uids: UserIds,
    pub egress: Policy,
    pub limits: Limits,
    pub retention: Retention,
    /// How often a session's cookies are written down for its profile; none: only at its end.
    pub checkpoint_every: Option<Duration>,
    /// How long executions may go on once the server is told to stop.
    pub stop_grace: Duration,
    pub log: LogConfig,
    /// `HEARTH_*` variables that are no settings.
    pub unknown_variables: Vec<String>,
}

/// The settings one by one, for whoever does not stop at the first that is wrong.
#[derive(Debug)]
pub(crate) struct Judged {
    pub listen: Result<SocketAddr, ConfigError>,
    pub keys: Result<Keys, ConfigError>,
    pub public_url: Result<Option<String>, ConfigError>,
    pub frame_ancestors: Result<String, ConfigError>,
    pub data_dir: Result<PathBuf, ConfigError>,
    pub runtime_dir: Result<PathBuf, ConfigError>,
    pub browser: Result<PathBuf, ConfigError>,
    /// The Debian package of the browser, unless it was given by its path.
    pub browser_package: Option<&'static str>,
    pub user_agent: Result<Option<String>, ConfigError>,
    pub viewport: Result<Viewport, ConfigError>,
    /// None: by memory.
    pub max_sessions: Result<Option<usize>, ConfigError>,
    pub max_output_bytes: Result<usize, ConfigError>,
    pub isolation: Result<Level, ConfigError>,
    pub uids: Result<UserIds, ConfigError>,
    pub egress: Result<Mode, ConfigError>,
    pub egress_allow: Result<AllowList, ConfigError>,
    pub egress_allow_metadata: Result<bool, ConfigError>,
    pub egress_proxy: Result<Option<Upstream>, ConfigError>,
    /// All that are wrong.
    pub limits: Result<Limits, Vec<ConfigError>>,
    pub retention: Result<Retention, ConfigError>,
    pub checkpoint_every: Result<Option<Duration>, ConfigError>,
    pub stop_grace: Result<Duration, ConfigError>,
    pub log: Result<LogConfig, ConfigError>,
    pub unknown_variables: Vec<String>,
}

impl Judged {
    pub fn of(settings: &Settings) -> Judged {
        let keys = parse_keys(&settings.keys);
        let browser = or_default(&settings.browser, "shell");
        let max_sessions = given(settings.max_sessions.as_ref());
        let max_output_bytes = or_default(&settings.max_output_bytes, "10485760");
        let stop_grace = or_default(&settings.stop_grace_seconds, "5");
        let listen = parse_listen(or_default(&settings.listen, "127.0.0.1:3010"))
            .and_then(|listen| refuse_keyless(listen, &keys));
        Judged {
            isolation: judge_isolation(&settings.isolation, listen.as_ref().ok()),
            uids: judge_uids(&settings.isolation),
            listen,
            keys,
            public_url: given(settings.public_url.as_ref())
                .map(parse_public_url)
                .transpose(),
            frame_ancestors: parse_frame_ancestors(or_default(&settings.frame_ancestors, "*")),
            data_dir: parse_data_dir(given(settings.data_dir.as_ref())),
            runtime_dir: find_runtime_dir(given(settings.runtime_dir.as_ref())),
            browser: parse_browser(browser),
            browser_package: packaged_browser(browser).map(|(_, package)| package),
            user_agent: given(settings.user_agent.as_ref())
                .map(parse_user_agent)
                .transpose(),
            viewport: parse_viewport(or_default(&settings.viewport, "1280x720")),
            max_sessions: max_sessions
                .map(|text| parse_number("HEARTH_MAX_SESSIONS", text, 1, 10_000))
                .transpose(),
            max_output_bytes: parse_number(
                "HEARTH_MAX_OUTPUT_BYTES",
                max_output_bytes,
                1024,
                256 << 20,
            ),
            egress: parse_mode(or_default(&settings.egress.egress, "filtered")),
            egress_allow: parse_allow(
                given(settings.egress.egress_allow.as_ref()).unwrap_or_default(),
            ),
            egress_allow_metadata: parse_allow_metadata(or_default(
                &settings.egress.egress_allow_metadata,
                "false",
            )),
            egress_proxy: given(settings.egress.egress_proxy.as_ref())
                .map(parse_upstream)
                .transpose(),
            limits: parse_limits(&settings.limits),
            retention: parse_retention(&settings.retention),
            checkpoint_every: parse_checkpoint(&settings.profiles),
            stop_grace: parse_number("HEARTH_STOP_GRACE_SECONDS", stop_grace, 0, 300).map(seconds),
            log: parse_log(&settings.log),
            unknown_variables: unknown_variables(),
        }
    }
}

impl Config {
    pub fn from_settings(settings: &Settings) -> Result<Config, ConfigError> {
        let judged = Judged::of(settings);
        Ok(Config {
            listen: judged.listen?,
            keys: judged.keys?,
            public_url: judged.public_url?,
            frame_ancestors: judged.frame_ancestors?,
            data_dir: judged.data_dir?,
            runtime_dir: judged.runtime_dir?,
            browser: judged.browser?,
            user_agent: judged.user_agent?,
            viewport: judged.viewport?,
            max_sessions: judged
                .max_sessions?
                .unwrap_or_else(|| plan_max_sessions(memory_bytes())),
            max_output_bytes: judged.max_output_bytes?,
            isolation: judged.isolation?,
            uids: judged.uids?,
            egress: Policy {
                mode: judged.egress?,
                allow: judged.egress_allow?,
                allow_metadata: judged.egress_allow_metadata?,
                upstream: judged.egress_proxy?,
            },
            limits: judged.limits.map_err(|mut errors| errors.swap_remove(0))?,
            retention: judged.retention?,
            checkpoint_every: judged.checkpoint_every?,
            stop_grace: judged.stop_grace?,
            log: judged.log?,
            unknown_variables: judged.unknown_variables,
        })
    }
}

/// An empty variable counts as not set: compose files cannot leave one out.
fn given(value: Option<&String>) -> Option<&str> {
    value
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
}

fn or_default<'a>(value: &'a str, default: &'a str) -> &'a str {
    let value = value.trim();
    if value.is_empty() { default } else { value }
}

fn seconds(number: usize) -> Duration {
    Duration::from_secs(u64::try_from(number).unwrap_or(u64::MAX))
}

fn bad<E: std::fmt::Display>(name: &'static str) -> impl Fn(E) -> ConfigError {
    move |reason| ConfigError(format!("{name}: {reason}"))
}

fn parse_data_dir(given: Option<&str>) -> Result<PathBuf, ConfigError> {
    let chosen = match given {
        Some(path) => PathBuf::from(path),
        None => default_data_dir(),
    };
    let path = std::path::absolute(&chosen).map_err(bad("HEARTH_DATA_DIR"))?;
    let length = path.as_os_str().len();
    if length > MAX_DATA_DIR_BYTES {
        return Err(ConfigError(format!(
            "HEARTH_DATA_DIR: {} has {length} bytes, and Chromium's sockets below it leave room for {MAX_DATA_DIR_BYTES}: choose a shorter path",
            path.display()
        )));
    }
    if path.to_str().is_none() {
        return Err(ConfigError(format!(
            "HEARTH_DATA_DIR: {} is not UTF-8",
            path.display()
        )));
    }
    Ok(path)
}

/// A root's home is closed to the users that the server and its sessions become.
fn default_data_dir() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/lib/hearth");
    }
    let folder = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    folder("XDG_DATA_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".local/share")))
        .map_or_else(
            || PathBuf::from("/var/lib/hearth"),
            |data| data.join("hearth"),
        )
}

/// The folder with the kernels: as given, or `runtime` below the working directory or above the
/// executable.
fn find_runtime_dir(given: Option<&str>) -> Result<PathBuf, ConfigError> {
    let is_runtime = |path: &Path| path.join("node/kernel.mjs").is_file();
    if let Some(path) = given {
        let path = std::path::absolute(path).map_err(bad("HEARTH_RUNTIME_DIR"))?;
        return if is_runtime(&path) {
            Ok(path)
        } else {
            Err(ConfigError(format!(
                "HEARTH_RUNTIME_DIR: there is no node/kernel.mjs in {}",
                path.display()
            )))
        };
    }
    let working = std::env::current_dir().ok();
    let executable = std::env::current_exe().and_then(fs::canonicalize).ok();
    let starts = working.iter().chain(executable.iter());
    let found = starts
        .flat_map(|start| start.ancestors())
        .map(|folder| folder.join("runtime"))
        .find(|p| is_runtime(p));
    found.ok_or_else(|| {
        ConfigError(
            "HEARTH_RUNTIME_DIR: the runtime folder is neither above the working directory nor above the executable: name it"
                .to_owned(),
        )
    })
}

/// Where Debian puts a browser that is named by a word, and its package.
fn packaged_browser(text: &str) -> Option<(&'static str, &'static str)> {
    match text {
        "shell" => Some((SHELL_PATH, "chromium-headless-shell")),
        "chromium" => Some((CHROMIUM_PATH, "chromium")),
        _ => None,
    }
}

fn parse_browser(text: &str) -> Result<PathBuf, ConfigError> {
    let (path, package) = match (packaged_browser(text), text) {
        (Some((path, package)), _) => (PathBuf::from(path), Some(package)),
        (None, path) if path.contains('/') => (
            std::path::absolute(path).map_err(bad("HEARTH_BROWSER"))?,
            None,
        ),
        (None, other) => {
            return Err(ConfigError(format!(
                "HEARTH_BROWSER: {other:?} is neither shell nor chromium nor the path of a browser"
            )));
        }
    };
    match (path.is_file(), package) {
        (true, _) => Ok(path),
        (false, Some(package)) => Err(ConfigError(format!(
            "HEARTH_BROWSER: {} is missing: run `make setup`, or `apt-get install {package}` as root",
            path.display()
        ))),
        (false, None) => Err(ConfigError(format!(
            "HEARTH_BROWSER: there is no file {}",
            path.display()
        ))),
    }
}

fn parse_user_agent(text: &str) -> Result<String, ConfigError> {
    let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if printable && text.len() <= 1000 {
        Ok(text.to_owned())
    } else {
        Err(ConfigError(
            "HEARTH_USER_AGENT: it must be at most 1000 printable ASCII characters".to_owned(),
        ))
    }
}

fn parse_viewport(text: &str) -> Result<Viewport, ConfigError> {
    let sizes = text
        .split_once('x')
        .and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    match sizes {
        Some((width, height))
            if (100..=7680).contains(&width) && (100..=7680).contains(&height) =>
        {
            Ok(Viewport { width, height })
        }
        _ => Err(ConfigError(format!(
            "HEARTH_VIEWPORT: {text:?} is no size from 100x100 to 7680x7680, such as 1280x720"
        ))),
    }
}

fn parse_number(name: &str, text: &str, least: usize, most: usize) -> Result<usize, ConfigError> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| {
        ConfigError(format!(
            "{name}: {text:?} is no whole number from {least} to {most}"
        ))
    })
}

/// Whether the user wants no colours in a terminal (<https://no-color.org>).
pub(crate) fn wants_no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// The name of a `HEARTH_*` variable whose value is no text, if there is one.
pub(crate) fn variable_that_is_no_text() -> Option<String> {
    let mut variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    variables
        .find(|(name, value)| name.starts_with("HEARTH_") && value.to_str().is_none())
        .map(|(name, _)| name)
}

/// `HEARTH_*` variables that no setting has: most often a misspelt one.
fn unknown_variables() -> Vec<String> {
    let command = Settings::augment_args(clap::Command::new("serve"));
    let known: BTreeSet<String> = command
        .get_arguments()
        .filter_map(|argument| argument.get_env()?.to_str().map(str::to_owned))
        .collect();
    let mut unknown: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("HEARTH_") && !known.contains(name))
        .collect();
    unknown.sort();
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_bounds() {
        assert_eq!(
            parse_viewport("800x600").expect("fine"),
            Viewport {
                width: 800,
                height: 600
            }
        );
        for text in ["800", "800x", "0x600", "800x99999", "-1x600", "800X600"] {
            assert!(parse_viewport(text).is_err(), "{text}");
        }
    }
}
