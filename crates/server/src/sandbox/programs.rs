//! The command lines and environments of the programs that run a session's code. All functions are
//! pure.
//!
//! An environment starts empty and gets its variables one by one. It contains none of the server's
//! own variables.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use hearth_contract::Language;
use hearth_runner::{KernelSpec, ShellSpec};
use hearth_sandbox::Program;
use uuid::Uuid;

use super::dirs::SessionDir;
use crate::toolchain::Runtime;

/// The directories of system programs, which come after the toolchain's in `PATH`.
const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The name of the agent-browser session. Each Hearth session has one daemon, in a separate socket
/// directory.
const AGENT_SESSION: &str = "s";

/// The options that the CLI expects a running daemon to have: the defaults of the pinned version.
/// The CLI replaces a daemon whose options differ or are unknown.
const AGENT_OPTIONS: &str = r#"{"action_policy":null,"confirm_actions":null,"debug":false,"default_timeout":null,"idle_timeout":null,"no_auto_dialog":false}"#;

/// The variable with the address that starts the agent-browser daemon.
const AGENT_START: &str = "AGENT_BROWSER_START_URL";

/// The variables with the directory of Node's compile cache, and the one that disables it.
const COMPILE_CACHE: &str = "NODE_COMPILE_CACHE";
const NO_COMPILE_CACHE: &str = "NODE_DISABLE_COMPILE_CACHE";

/// The variables that name a file with certificate authorities: for programs that use OpenSSL, for
/// Node, Python's requests, curl and git. requests and Node have their own lists otherwise.
const CA_VARIABLES: [&str; 5] = [
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
];

/// The WebSocket URL of the browser for the session's own programs.
///
/// Programs that start before a client has the session get a URL without an id. Both are valid.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The listener for the session's own CDP clients, as `host:port`.
    listener: String,
    token: String,
    session: OnceLock<Uuid>,
}

impl Endpoint {
    pub fn new(port: u16, token: &str) -> Endpoint {
        Endpoint {
            listener: format!("127.0.0.1:{port}"),
            token: token.to_owned(),
            session: OnceLock::new(),
        }
    }

    /// Adds the id of the session, once. The URL then has the path of `cdpUrl`, by which a script
    /// recognises its own session.
    pub fn name(&self, session: Uuid) {
        let _ = self.session.set(session);
    }

    pub fn url(&self) -> String {
        self.url_of("ws", "")
    }

    /// Returns the URL without an id. It never changes, because the agent-browser daemon would
    /// connect again and lose its references.
    fn constant_url(&self) -> String {
        format!("ws://{}/cdp?token={}", self.listener, self.token)
    }

    /// Returns the URL of an action of the session's listener.
    fn url_of(&self, scheme: &str, action: &str) -> String {
        let Endpoint {
            listener,
            token,
            session,
        } = self;
        let id = session.get().map(|id| format!("/{id}")).unwrap_or_default();
        format!("{scheme}://{listener}/cdp{id}{action}?token={token}")
    }
}

/// The commands of one session, with the environment that they share.
#[derive(Debug)]
pub(crate) struct SessionCommands {
    runtime: Runtime,
    work: String,
    script_dir: PathBuf,
    python_env: String,
    user_name: String,
    /// The file with the certificate authorities that code trusts.
    ca_bundle: Option<String>,
    /// The directory of the compile cache of kernels.
    compile_cache: Option<String>,
    agent: String,
    pub endpoint: Endpoint,
    /// The port of the session's proxy, on 127.0.0.1.
    proxy_port: u16,
    /// The time zone of programs, unless it is the machine's.
    time_zone: Option<String>,
}

impl SessionCommands {
    pub fn new(
        runtime: Runtime,
        dir: &SessionDir,
        user_name: String,
        ca_bundle: Option<&Path>,
        compile_cache: Option<&Path>,
        endpoint: Endpoint,
        proxy_port: u16,
    ) -> SessionCommands {
        SessionCommands {
            runtime,
            work: text(&dir.work()),
            script_dir: dir.root().to_owned(),
            python_env: text(&dir.python_env()),
            user_name,
            ca_bundle: ca_bundle.map(text),
            compile_cache: compile_cache.map(text),
            agent: text(&dir.agent()),
            endpoint,
            proxy_port,
            time_zone: None,
        }
    }

    /// Sets the time zone of programs.
    pub fn with_time_zone(self, time_zone: Option<String>) -> SessionCommands {
        SessionCommands { time_zone, ..self }
    }

    fn environment(&self) -> Vec<(String, String)> {
        let mut path = vec![
            format!("{}/bin", self.python_env),
            format!("{}/.local/bin", self.work),
        ];
        path.extend(self.runtime.path.iter().map(|dir| text(dir)));
        path.push(SYSTEM_PATH.to_owned());
        let path = path.join(":");
        let proxy = format!("http://127.0.0.1:{}", self.proxy_port);
        // The proxy never connects to it.
        let direct = &self.endpoint.listener;
        let (endpoint, agent_endpoint) = (self.endpoint.url(), self.endpoint.constant_url());
        let node_options = [
            &self.runtime.node_proxy,
            &self.runtime.node_libraries,
            &self.runtime.node_launches,
        ]
        .map(|script| format!("--require=\"{}\"", text(script)))
        .join(" ");
        let node_modules = text(&self.runtime.node_modules);
        let global_modules = format!("{}/.local", self.work);
        let mut environment: Vec<(String, String)> = [
            ("PATH", path.as_str()),
            ("USER", &self.user_name),
            ("LOGNAME", &self.user_name),
            ("HOME", &self.work),
            ("TMPDIR", &self.work),
            ("PWD", &self.work),
            ("LANG", "C.UTF-8"),
            ("SHELL", "/bin/bash"),
            // Without it, the output of a killed program would be lost in a buffer.
            ("PYTHONUNBUFFERED", "1"),
            ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
            ("PIP_ROOT_USER_ACTION", "ignore"),
            // Only require() reads it. A script in NODE_OPTIONS does the same for import.
            ("NODE_PATH", &node_modules),
            // The directory of `npm install -g`. The default is next to Node, and read-only.
            ("NPM_CONFIG_PREFIX", &global_modules),
            // Requests that take longer than the installation of a small package.
            ("NPM_CONFIG_AUDIT", "false"),
            ("NPM_CONFIG_FUND", "false"),
            ("NPM_CONFIG_UPDATE_NOTIFIER", "false"),
            // npm 12 installs only from the registry by default. Egress limits what it reaches.
            ("NPM_CONFIG_ALLOW_REMOTE", "root"),
            ("NPM_CONFIG_ALLOW_GIT", "root"),
            // Some programs read the upper-case names, some the lower-case names.
            ("HTTP_PROXY", &proxy),
            ("HTTPS_PROXY", &proxy),
            ("ALL_PROXY", &proxy),
            ("NO_PROXY", direct),
            ("http_proxy", &proxy),
            ("https_proxy", &proxy),
            ("all_proxy", &proxy),
            ("no_proxy", direct),
            // npm would create a directory for the cache in TMPDIR.
            (NO_COMPILE_CACHE, "1"),
            // Node's fetch, http and https read the proxy variables only with this flag. The script
            // in NODE_OPTIONS covers custom agents.
            ("NODE_USE_ENV_PROXY", "1"),
            ("NODE_OPTIONS", &node_options),
            // Programs of the session connect to this address. Firecrawl's CLI documents the name.
            ("CDP_URL", &endpoint),
            ("AGENT_BROWSER_CDP", &agent_endpoint),
            // Applies to pages that the command fetches itself.
            ("AGENT_BROWSER_USE_SYSTEM_CA", "1"),
            ("AGENT_BROWSER_SESSION", AGENT_SESSION),
            ("AGENT_BROWSER_SOCKET_DIR", &self.agent),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        if let Some(time_zone) = &self.time_zone {
            environment.push(("TZ".to_owned(), time_zone.clone()));
        }
        if let Some(bundle) = &self.ca_bundle {
            environment.extend(CA_VARIABLES.map(|name| (name.to_owned(), bundle.clone())));
        }
        environment
    }

    /// Returns the address that starts the agent-browser daemon. Shells do not need it, because the
    /// daemon runs before they start.
    fn agent_start_url(&self) -> String {
        self.endpoint.url_of("http", "/agent")
    }

    /// Returns the command of the kernel of `language`, or `None` for bash, which runs in shells.
    pub fn plan_kernel(&self, language: Language) -> Option<KernelSpec> {
        let mut env = self.environment();
        let (program, args) = match language {
            Language::Node => {
                let args = [
                    &self.runtime.node_kernel,
                    &self.runtime.playwright_core,
                    &self.runtime.acorn,
                ]
                .map(|p| text(p));
                let [kernel, playwright, acorn] = args;
                // The kernel restores the variables before it runs code.
                if let Some(cache) = &self.compile_cache {
                    env.retain(|(name, _)| name != NO_COMPILE_CACHE);
                    env.push((COMPILE_CACHE.to_owned(), cache.clone()));
                }
                (
                    &self.runtime.node,
                    vec![
                        kernel,
                        "--playwright".into(),
                        playwright,
                        "--acorn".into(),
                        acorn,
                    ],
                )
            }
            Language::Python => {
                // Isolated mode (`-I`) prevents files of the session from replacing the kernel's
                // own modules.
                let mut args = vec![
                    "-I".into(),
                    "-X".into(),
                    "utf8".into(),
                    text(&self.runtime.python_kernel),
                    self.python_env.clone(),
                ];
                args.extend(self.compile_cache.clone());
                (&self.runtime.python, args)
            }
            Language::Bash => return None,
        };
        env.push((AGENT_START.to_owned(), self.agent_start_url()));
        Some(KernelSpec {
            language: language.as_str(),
            program: program.clone(),
            args,
            env,
            cwd: self.work.clone().into(),
        })
    }

    /// Returns the command of a shell.
    pub fn plan_shell(&self) -> ShellSpec {
        ShellSpec {
            program: self.runtime.bash.clone(),
            env: self.environment(),
            script_dir: self.script_dir.clone(),
        }
    }

    /// Returns the command of the agent-browser daemon: the executable of the CLI, in daemon mode.
    pub fn plan_agent(&self) -> Program {
        let mut env = self.environment();
        env.push(("AGENT_BROWSER_DAEMON".to_owned(), "1".to_owned()));
        Program {
            program: self.runtime.agent_browser.clone(),
            args: Vec::new(),
            env,
            cwd: self.work.clone().into(),
            fds: Vec::new(),
            deadline: None,
        }
    }

    /// Returns the files that the daemon and its CLI expect next to the socket: the options of the
    /// daemon and the tab to start on.
    pub fn plan_agent_files(target: &str) -> [(String, String); 2] {
        let tab = serde_json::json!({ "targetId": target, "url": "", "pinned": false });
        [
            (format!("{AGENT_SESSION}.config"), AGENT_OPTIONS.to_owned()),
            (format!("{AGENT_SESSION}.target"), tab.to_string()),
        ]
    }
}

/// Returns the name of the daemon's socket in its directory.
pub(crate) fn agent_socket() -> String {
    format!("{AGENT_SESSION}.sock")
}

/// Converts a path. All paths are UTF-8 because the settings reject others.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
