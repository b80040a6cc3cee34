//! The command lines and environments of the programs that run a session's code. All functions are
//! pure.
//!
//! An environment starts empty and gets its variables one by one. It contains none of the server's
//! own variables.

use std::path::Path;

use hearth_contract::Language;
use hearth_runner::{KernelSpec, ShellSpec};
use hearth_sandbox::Program;

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

/// The proxy settings in the environment of programs.
#[derive(Debug)]
pub(crate) struct ProxyEnv {
    /// The port of the session's proxy, on 127.0.0.1.
    pub proxy_port: u16,
    /// The listener for the session's own CDP clients, as `host:port`. Programs need it, and the
    /// proxy never connects to it.
    pub direct: String,
}

/// The commands of one session, with the environment that they share.
#[derive(Debug)]
pub(crate) struct SessionCommands {
    runtime: Runtime,
    work: String,
    packages: String,
    agent: String,
    /// The WebSocket URL of the browser for the session's own programs, with its token.
    endpoint: String,
    proxy_env: ProxyEnv,
}

impl SessionCommands {
    pub fn new(
        runtime: Runtime,
        dir: &SessionDir,
        endpoint: String,
        proxy_env: ProxyEnv,
    ) -> SessionCommands {
        SessionCommands {
            runtime,
            work: text(&dir.work()),
            packages: text(&dir.packages()),
            agent: text(&dir.agent()),
            endpoint,
            proxy_env,
        }
    }

    fn environment(&self) -> Vec<(String, String)> {
        let mut path = vec![
            format!("{}/bin", self.packages),
            format!("{}/.local/bin", self.work),
        ];
        path.extend(self.runtime.path.iter().map(|dir| text(dir)));
        path.push(SYSTEM_PATH.to_owned());
        let path = path.join(":");
        let proxy = format!("http://127.0.0.1:{}", self.proxy_env.proxy_port);
        let direct = &self.proxy_env.direct;
        let node_options = format!("--require=\"{}\"", text(&self.runtime.node_proxy));
        [
            ("PATH", path.as_str()),
            ("HOME", &self.work),
            ("TMPDIR", &self.work),
            ("PWD", &self.work),
            ("LANG", "C.UTF-8"),
            ("SHELL", "/bin/bash"),
            ("PYTHONPATH", &self.packages),
            // Without it, the output of a killed program would be lost in a buffer.
            ("PYTHONUNBUFFERED", "1"),
            ("PIP_TARGET", &self.packages),
            // Without it, pip keeps an installed package when another version is requested.
            ("PIP_UPGRADE", "1"),
            ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
            ("PIP_ROOT_USER_ACTION", "ignore"),
            // Some programs read the upper-case names, some the lower-case names.
            ("HTTP_PROXY", &proxy),
            ("HTTPS_PROXY", &proxy),
            ("ALL_PROXY", &proxy),
            ("NO_PROXY", direct),
            ("http_proxy", &proxy),
            ("https_proxy", &proxy),
            ("all_proxy", &proxy),
            ("no_proxy", direct),
            // Node's fetch, http and https read the proxy variables only with this flag. The script
            // in NODE_OPTIONS covers custom agents.
            ("NODE_USE_ENV_PROXY", "1"),
            ("NODE_OPTIONS", &node_options),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    fn agent_environment(&self) -> Vec<(String, String)> {
        let mut environment = self.environment();
        let agent = [
            ("AGENT_BROWSER_CDP", self.endpoint.as_str()),
            // Firecrawl's CLI documents this name for bash code.
            ("CDP_URL", &self.endpoint),
            ("AGENT_BROWSER_SESSION", AGENT_SESSION),
            ("AGENT_BROWSER_SOCKET_DIR", &self.agent),
        ];
        environment.extend(agent.map(|(name, value)| (name.to_owned(), value.to_owned())));
        environment
    }

    /// Returns the command of the kernel of `language`, or `None` for bash, which runs in shells.
    pub fn plan_kernel(&self, language: Language) -> Option<KernelSpec> {
        let (program, args) = match language {
            Language::Node => {
                let args = [
                    &self.runtime.node_kernel,
                    &self.runtime.playwright_core,
                    &self.runtime.acorn,
                ]
                .map(|p| text(p));
                let [kernel, playwright, acorn] = args;
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
                let args = vec![
                    "-I".into(),
                    "-X".into(),
                    "utf8".into(),
                    text(&self.runtime.python_kernel),
                ];
                (&self.runtime.python, args)
            }
            Language::Bash => return None,
        };
        Some(KernelSpec {
            language: language.as_str(),
            program: program.clone(),
            args,
            env: self.environment(),
            cwd: self.work.clone().into(),
            endpoint: self.endpoint.clone(),
        })
    }

    /// Returns the command of a shell.
    pub fn plan_shell(&self) -> ShellSpec {
        ShellSpec {
            program: self.runtime.bash.clone(),
            env: self.agent_environment(),
            cwd: self.work.clone().into(),
        }
    }

    /// Returns the command of the agent-browser daemon: the executable of the CLI, in daemon mode.
    pub fn plan_agent(&self) -> Program {
        let mut env = self.agent_environment();
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
