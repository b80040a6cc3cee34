//! What is started for a session's code, and with which environment. Pure: nothing is started here.
//!
//! An environment is built from nothing, name by name. None of the server's own variables is in it.

use std::path::Path;

use hearth_confine::Program;
use hearth_contract::Language;
use hearth_runner::{KernelProgram, ShellProgram};

use super::dirs::SessionDir;
use crate::toolchain::Runtime;

/// Where programs of the system are found, after the runtime's own.
const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The name of the agent-browser session; there is one daemon a session of ours, in a socket folder
/// of its own.
const AGENT_SESSION: &str = "s";

/// What the CLI compares a running daemon with. It replaces one that was started with other
/// options, or whose options it does not know; these are the defaults of the pinned version.
const AGENT_OPTIONS: &str = r#"{"action_policy":null,"confirm_actions":null,"debug":false,"default_timeout":null,"idle_timeout":null,"no_auto_dialog":false}"#;

/// How programs reach other machines.
#[derive(Debug)]
pub(crate) struct ProxyEnv {
    /// The session's proxy, on 127.0.0.1.
    pub proxy_port: u16,
    /// What the proxy never reaches and programs need: the listener for their browser, as
    /// `host:port`.
    pub direct: String,
}

/// Everything that the programs of one session have in common.
#[derive(Debug)]
pub(crate) struct SessionCommands {
    runtime: Runtime,
    work: String,
    packages: String,
    agent: String,
    /// The browser's WebSocket address for the session's own programs, with its token.
    endpoint: String,
    proxy_env: ProxyEnv,
}

impl SessionCommands {
    pub fn new(
        runtime: Runtime,
        folder: &SessionDir,
        endpoint: String,
        proxy_env: ProxyEnv,
    ) -> SessionCommands {
        SessionCommands {
            runtime,
            work: text(&folder.work()),
            packages: text(&folder.packages()),
            agent: text(&folder.agent()),
            endpoint,
            proxy_env,
        }
    }

    fn environment(&self) -> Vec<(String, String)> {
        let mut path = vec![
            format!("{}/bin", self.packages),
            format!("{}/.local/bin", self.work),
        ];
        path.extend(self.runtime.path.iter().map(|folder| text(folder)));
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
            // What a killed program printed is in its answer only if it did not sit in a buffer.
            ("PYTHONUNBUFFERED", "1"),
            ("PIP_TARGET", &self.packages),
            // Without it pip leaves a package in that folder as it is when another version is asked
            // for.
            ("PIP_UPGRADE", "1"),
            ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
            ("PIP_ROOT_USER_ACTION", "ignore"),
            // Some programs look for the one spelling, some for the other.
            ("HTTP_PROXY", &proxy),
            ("HTTPS_PROXY", &proxy),
            ("ALL_PROXY", &proxy),
            ("NO_PROXY", direct),
            ("http_proxy", &proxy),
            ("https_proxy", &proxy),
            ("all_proxy", &proxy),
            ("no_proxy", direct),
            // Node's fetch, http and https heed the variables only when told to; agents of their
            // own only by our script.
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
            // The name under which the reference's command line promises it to bash code.
            ("CDP_URL", &self.endpoint),
            ("AGENT_BROWSER_SESSION", AGENT_SESSION),
            ("AGENT_BROWSER_SOCKET_DIR", &self.agent),
        ];
        environment.extend(agent.map(|(name, value)| (name.to_owned(), value.to_owned())));
        environment
    }

    /// The long-lived interpreter of `language`; none for bash, which has shells.
    pub fn plan_kernel(&self, language: Language) -> Option<KernelProgram> {
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
                // Isolated: what a session installs or writes must not stand in for the kernel's
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
        Some(KernelProgram {
            language: language.as_str(),
            program: program.clone(),
            args,
            env: self.environment(),
            cwd: self.work.clone().into(),
            endpoint: self.endpoint.clone(),
        })
    }

    pub fn plan_shell(&self) -> ShellProgram {
        ShellProgram {
            program: self.runtime.bash.clone(),
            env: self.agent_environment(),
            cwd: self.work.clone().into(),
        }
    }

    /// The agent-browser daemon: the same executable as its CLI, told by a variable.
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

    /// Files that the daemon and its CLI expect next to the socket: what the daemon was started
    /// with, and the tab to start on.
    pub fn plan_agent_files(target: &str) -> [(String, String); 2] {
        let tab = serde_json::json!({ "targetId": target, "url": "", "pinned": false });
        [
            (format!("{AGENT_SESSION}.config"), AGENT_OPTIONS.to_owned()),
            (format!("{AGENT_SESSION}.target"), tab.to_string()),
        ]
    }

    /// The name of the daemon's socket in its folder.
    pub fn agent_socket() -> String {
        format!("{AGENT_SESSION}.sock")
    }
}

/// All our paths are UTF-8: the configuration refuses others.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
