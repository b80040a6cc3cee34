//! All settings in one struct.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use hearth_browser::Viewport;
use hearth_egress::Policy;

use super::addresses::{
    Origins, parse_frame_ancestors, parse_listen, parse_origins, parse_public_url,
};
use super::blocking::BlockingSettings;
use super::certificates::CertificateSettings;
use super::cluster::{ClusterNeeds, ClusterSettings, ClusterSpec};
use super::egress::EgressSettings;
use super::error::ConfigError;
use super::firecrawl::FirecrawlSettings;
use super::isolation::IsolationSettings;
use super::keys::{KeySettings, OpenFile};
use super::limits::Limits;
use super::log::LogSettings;
use super::number::{seconds, size};
use super::paths::{
    BrowserProgram, default_data_dir, find_runtime_dir, parse_browser, parse_data_dir,
};
use super::profiles::ProfileSettings;
use super::retention::Retention;
use super::scrape::ScrapeSettings;
use super::server_limits::ServerLimits;
use super::test_mode::TestModeSettings;
use super::text::{parse_trimmed, parse_user_agent};
use super::values::SettingValues;
use super::warm::WarmArgs;
use super::workbench::WorkbenchSettings;
use crate::api_keys::ApiKeys;
use crate::capacity::{memory_bytes, plan_max_sessions};

/// The settings of the server.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Server")]
#[expect(
    clippy::doc_markdown,
    reason = "the comments are the text of --help, which shows no markup"
)]
pub(crate) struct Config {
    // First, because clap removes the value of each setting when it fills the field.
    #[command(flatten)]
    pub(super) values: SettingValues,

    /// Address and port to listen on. Addresses other than loopback require API keys
    #[arg(long, env = "HEARTH_LISTEN", value_name = "ADDRESS",
          default_value = "127.0.0.1:3010", value_parser = parse_listen)]
    pub listen: SocketAddr,

    /// Origin under which clients reach the server, such as https://hearth.example. Links in
    /// responses start with it [default: the Host header of the request]
    #[arg(long, env = "HEARTH_PUBLIC_URL", value_name = "URL", value_parser = parse_public_url)]
    pub public_url: Option<String>,

    /// Pages that may show the live view in a frame, as sources of a Content-Security-Policy: `*`,
    /// `'none'`, `'self'`, or origins such as https://app.example, separated by spaces
    #[arg(long, env = "HEARTH_FRAME_ANCESTORS", value_name = "SOURCES", default_value = "*",
          value_parser = parse_frame_ancestors)]
    pub frame_ancestors: String,

    /// Origins of web pages that may call the API from a browser, such as https://app.example,
    /// separated by commas. Their pages still need a key
    #[arg(long, env = "HEARTH_CORS_ORIGINS", value_name = "ORIGINS",
          value_parser = parse_origins)]
    pub cors_origins: Vec<Origins>,

    /// Directory for sessions, profiles and the store. The path has at most 45 bytes, because
    /// Chromium's sockets are below it [default: hearth in the user's data directory; for root
    /// /var/lib/hearth]
    #[arg(long, env = "HEARTH_DATA_DIR", value_name = "PATH", hide_default_value = true,
          default_value_os_t = default_data_dir(), value_parser = parse_data_dir)]
    pub data_dir: PathBuf,

    /// Directory with the kernels and their dependencies [default: `runtime` of the repository]
    #[arg(long, env = "HEARTH_RUNTIME_DIR", value_name = "PATH",
          value_parser = parse_trimmed::<PathBuf>)]
    runtime_dir: Option<PathBuf>,

    /// Browser: `shell` (chromium-headless-shell), `chromium`, or the path of either
    #[arg(long, env = "HEARTH_BROWSER", value_name = "BROWSER", default_value = "shell",
          value_parser = parse_browser)]
    pub browser: BrowserProgram,

    /// User agent of the browsers [default: the browser's own, without "Headless"]
    #[arg(long, env = "HEARTH_USER_AGENT", value_name = "TEXT", value_parser = parse_user_agent)]
    pub user_agent: Option<String>,

    /// Size of pages, in CSS pixels
    #[arg(long, env = "HEARTH_VIEWPORT", value_name = "WIDTHxHEIGHT", default_value = "1280x720",
          value_parser = parse_viewport)]
    pub viewport: Viewport,

    /// Number of concurrent sessions. 0 makes a node of a cluster only forward requests [default:
    /// from memory, one per 512 MiB above the first GiB]
    #[arg(long, env = "HEARTH_MAX_SESSIONS", value_name = "NUMBER",
          value_parser = size(0..=10_000))]
    pub max_sessions: Option<usize>,

    /// Number of concurrent sessions of one team, which are all keys with one name [default: no
    /// limit besides HEARTH_MAX_SESSIONS]
    #[arg(long, env = "HEARTH_TEAM_MAX_SESSIONS", value_name = "NUMBER",
          value_parser = size(1..=10_000))]
    pub team_max_sessions: Option<usize>,

    /// Open connections of clients. At most a quarter of the open files that the server may have.
    /// If there are more, the oldest one without an authenticated request is closed
    #[arg(long, env = "HEARTH_MAX_CONNECTIONS", value_name = "NUMBER",
          default_value = "2048", value_parser = size(16..=1 << 20))]
    pub max_connections: usize,

    /// Bytes to keep of each of stdout, stderr and the result of an execution. Longer output loses
    /// its middle, and `truncated` is set
    #[arg(long, env = "HEARTH_MAX_OUTPUT_BYTES", value_name = "BYTES",
          default_value = "10485760", value_parser = size(1024..=256 << 20))]
    pub max_output_bytes: usize,

    /// Seconds for which running code may continue after SIGTERM or SIGINT. Meanwhile new sessions
    /// and executions get a 503. A second signal stops at once, as does 0
    #[arg(long = "stop-grace-seconds", env = "HEARTH_STOP_GRACE_SECONDS", value_name = "SECONDS",
          default_value = "5", value_parser = seconds(0..=300))]
    pub stop_grace: Duration,

    /// File with settings, one NAME=value in a line. Variables and flags take precedence over it.
    /// The server reads it again when it reloads
    #[arg(long, env = "HEARTH_ENV_FILE", value_name = "PATH",
          value_parser = parse_trimmed::<PathBuf>)]
    pub env_file: Option<PathBuf>,

    #[command(flatten)]
    keys: KeySettings,

    #[command(flatten)]
    pub isolation: IsolationSettings,

    #[command(flatten)]
    pub egress: EgressSettings,

    #[command(flatten)]
    pub blocking: BlockingSettings,

    #[command(flatten)]
    pub certificates: CertificateSettings,

    #[command(flatten)]
    pub firecrawl: FirecrawlSettings,

    #[command(flatten)]
    cluster_settings: ClusterSettings,

    /// The settings of a node, if this server is one. `lifecycle::prepare` fills it, because the
    /// server cannot read all files later.
    #[arg(skip)]
    pub cluster: Option<Arc<ClusterSpec>>,

    #[command(flatten)]
    pub limits: Limits,

    #[command(flatten)]
    pub warm: WarmArgs,

    #[command(flatten)]
    pub retention: Retention,

    #[command(flatten)]
    pub workbench: WorkbenchSettings,

    #[command(flatten)]
    pub scrape: ScrapeSettings,

    #[command(flatten)]
    pub profiles: ProfileSettings,

    #[command(flatten)]
    pub log: LogSettings,

    #[command(flatten)]
    pub test_mode: TestModeSettings,

    #[arg(skip = ServerLimits::read())]
    pub server_limits: ServerLimits,
}

impl Config {
    /// Returns the first setting that cannot be used together with the others.
    pub fn check(&self) -> Result<(), ConfigError> {
        let keys = self.keys()?;
        self.check_listen(&keys)?;
        self.server_limits.check_listen(self.listen)?;
        self.browser.find()?;
        self.runtime_dir()?;
        self.certificates.read(&|path| File::open(path))?;
        self.blocking.read(&|path| File::open(path))?;
        self.firecrawl.read(&|path| File::open(path))?;
        let node = self.read_cluster(&keys)?;
        self.test_mode.check(self.listen, node.is_some())?;
        self.isolation.check_listen(self.listen)?;
        self.isolation.uids().map(drop)
    }

    /// Reads and returns the API keys.
    pub fn keys(&self) -> Result<ApiKeys, ConfigError> {
        self.keys_with(&|path| File::open(path))
    }

    /// Reads and returns the API keys. Opens their files with `open`.
    pub fn keys_with(&self, open: OpenFile<'_>) -> Result<ApiKeys, ConfigError> {
        self.keys.read(open)
    }

    /// Returns the files with keys.
    pub fn key_files(&self) -> Vec<PathBuf> {
        self.keys.files().cloned().collect()
    }

    /// Reads and returns the settings of a node, if this server is one.
    pub fn read_cluster(&self, keys: &ApiKeys) -> Result<Option<Arc<ClusterSpec>>, ConfigError> {
        let needs = ClusterNeeds {
            has_keys: !keys.is_empty(),
            has_public_url: self.public_url.is_some(),
            isolation: self.isolation.level,
        };
        let spec = self
            .cluster_settings
            .read(&|path| File::open(path), needs)?;
        if spec.is_none() && self.max_sessions == Some(0) {
            let reason = "only a node of a cluster can have no sessions";
            return Err(ConfigError::new("HEARTH_MAX_SESSIONS", reason)
                .fixed_by("set HEARTH_MAX_SESSIONS to a number from 1 to 10000"));
        }
        Ok(spec.map(Arc::new))
    }

    /// Takes over the reloadable settings.
    pub(super) fn adopt(&mut self, next: &Config) {
        self.max_sessions = next.max_sessions;
        self.team_max_sessions = next.team_max_sessions;
        self.keys.adopt(&next.keys);
        self.egress.allow.clone_from(&next.egress.allow);
        self.log.filter.clone_from(&next.log.filter);
        self.limits = Limits {
            // The budget of the server cannot change.
            buffer_mb: self.limits.buffer_mb,
            ..next.limits
        };
    }

    /// Returns an error if callers without a key could reach the server from other machines.
    pub fn check_listen(&self, keys: &ApiKeys) -> Result<(), ConfigError> {
        if self.listen.ip().is_loopback() || !keys.is_empty() {
            return Ok(());
        }
        Err(ConfigError::new(
            "HEARTH_LISTEN",
            format!(
                "{} can be reached from other machines, and there are no keys",
                self.listen
            ),
        )
        .fixed_by(format!(
            "set HEARTH_API_KEYS, or HEARTH_LISTEN=127.0.0.1:{}",
            self.listen.port()
        )))
    }

    /// Returns the policy of every session's egress proxy.
    pub fn egress_policy(&self) -> Policy {
        self.egress.policy(self.isolation.level)
    }

    /// Returns the directory with the kernels, or an error if it cannot be found.
    pub fn runtime_dir(&self) -> Result<PathBuf, ConfigError> {
        find_runtime_dir(self.runtime_dir.as_deref())
    }

    /// Returns the number of concurrent sessions.
    pub fn max_sessions(&self) -> usize {
        self.max_sessions
            .unwrap_or_else(|| plan_max_sessions(memory_bytes()))
    }
}

fn parse_viewport(text: &str) -> Result<Viewport, String> {
    let size = text
        .trim()
        .split_once('x')
        .and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    match size {
        Some((width, height))
            if (100..=7680).contains(&width) && (100..=7680).contains(&height) =>
        {
            Ok(Viewport { width, height })
        }
        _ => Err(format!(
            "{text:?} is not a size from 100x100 to 7680x7680, such as 1280x720"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_bounds() {
        assert_eq!(
            parse_viewport("800x600").expect("valid"),
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
