//! Firecrawl's clients. Each has a private dir, and all get the same calls.

use std::process::{Output, Stdio};
use std::time::Duration;

use hearth_test_support::{ClientHome, repository};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::call::{Call, CallResult};
use super::elsewhere::Elsewhere;

/// Deadline for a client that hangs: the longest call takes two seconds.
const DEADLINE: Duration = Duration::from_secs(30);

/// The columns of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    JavaScript,
    Python,
    PythonAsync,
    Rust,
    CommandLine,
    McpServer,
    AiSdk,
    Curl,
}

impl Kind {
    pub const ALL: [Kind; 8] = [
        Kind::JavaScript,
        Kind::Python,
        Kind::PythonAsync,
        Kind::Rust,
        Kind::CommandLine,
        Kind::McpServer,
        Kind::AiSdk,
        Kind::Curl,
    ];

    /// The clients that offer sessions without a scrape.
    pub const OF_SESSIONS: [Kind; 5] = [
        Kind::JavaScript,
        Kind::Python,
        Kind::PythonAsync,
        Kind::CommandLine,
        Kind::Curl,
    ];

    /// Returns the title in the table's header: the package's name.
    pub fn title(self) -> &'static str {
        match self {
            Kind::JavaScript => "firecrawl (npm)",
            Kind::Python => "firecrawl-py",
            Kind::PythonAsync => "firecrawl-py, async",
            Kind::Rust => "firecrawl (crate)",
            Kind::CommandLine => "firecrawl-cli",
            Kind::McpServer => "firecrawl-mcp",
            Kind::AiSdk => "firecrawl-aisdk",
            Kind::Curl => "curl",
        }
    }

    /// Returns the name of its key and of the files it leaves.
    pub fn name(self) -> &'static str {
        match self {
            Kind::JavaScript => "javascript",
            Kind::Python => "python",
            Kind::PythonAsync => "python-async",
            Kind::Rust => "rust",
            Kind::CommandLine => "command-line",
            Kind::McpServer => "mcp-server",
            Kind::AiSdk => "ai-sdk",
            Kind::Curl => "curl",
        }
    }
}

/// An installed client.
pub struct Client<'a> {
    pub kind: Kind,
    origin: String,
    elsewhere: &'a Elsewhere,
    pub home: ClientHome,
    /// The program of an SDK.
    program: Option<Program>,
    pub version: String,
}

/// A running program of tests/official.
struct Program {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl<'a> Client<'a> {
    /// Creates a client of the server at `origin`.
    pub async fn at(origin: &str, kind: Kind, elsewhere: &'a Elsewhere) -> Self {
        let mut client = Self {
            kind,
            origin: origin.to_owned(),
            elsewhere,
            home: ClientHome::default(),
            program: None,
            version: String::new(),
        };
        match kind {
            Kind::JavaScript => client.start(node(), &["sdk.mjs", origin]).await,
            Kind::Python => client.start(python(), &["sdk.py", origin, "sync"]).await,
            Kind::PythonAsync => client.start(python(), &["sdk.py", origin, "async"]).await,
            Kind::AiSdk => client.start(node(), &["aisdk.mjs", origin]).await,
            Kind::McpServer => {
                let server = programs().join("node_modules/firecrawl-mcp/dist/index.js");
                let env = json!({"FIRECRAWL_API_URL": origin});
                let server = json!({"command": node(), "args": [server], "env": env});
                client.start_mcp(&server).await;
            }
            Kind::Rust => {
                let program = programs().join("rust/.installed/bin/hearth-official-rust");
                let mut command = client.home.command(program);
                command.arg(origin);
                client.launch(command).await;
            }
            Kind::CommandLine => {
                let ran = client.cli(None, &["--version"]).await;
                ran.stdout.trim().clone_into(&mut client.version);
            }
            // The curl version is not pinned, and the document should not change with it.
            Kind::Curl => {}
        }
        client
    }

    /// Creates a client of an MCP server that a host's configuration describes.
    pub async fn of_mcp_server(server: &Value, home: ClientHome, elsewhere: &'a Elsewhere) -> Self {
        let mut client = Self {
            kind: Kind::McpServer,
            origin: String::new(),
            elsewhere,
            home,
            program: None,
            version: String::new(),
        };
        client.start_mcp(server).await;
        client
    }

    async fn start_mcp(&mut self, server: &Value) {
        self.start(node(), &["mcp.mjs", &server.to_string()]).await;
    }

    /// Starts a program of tests/official: its file and its arguments.
    async fn start(&mut self, interpreter: String, arguments: &[&str]) {
        let mut command = self.home.command(interpreter);
        command
            .arg(programs().join(arguments[0]))
            .args(&arguments[1..]);
        self.launch(command).await;
    }

    async fn launch(&mut self, mut command: Command) {
        self.elsewhere.listen_to(&mut command);
        // `npx` belongs to the same Node, and would ask the registry for its newest version.
        let programs = repository().join("runtime/.installed/bin");
        command
            .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
            .env("NPM_CONFIG_UPDATE_NOTIFIER", "false");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut program = Program {
            input: child.stdin.take().unwrap(),
            output,
            child,
        };
        let first: Value = serde_json::from_str(&program.line().await).unwrap();
        first["version"]
            .as_str()
            .unwrap()
            .clone_into(&mut self.version);
        self.program = Some(program);
    }

    /// Makes a call through the client, with a key or without.
    pub async fn call(&mut self, key: Option<&str>, call: &Call<'_>) -> CallResult {
        match self.kind {
            Kind::CommandLine => self.call_cli(key, call).await,
            Kind::Curl => self.call_curl(key, call).await,
            Kind::AiSdk if key.is_none() => CallResult::NotOffered("it requires a key"),
            _ if matches!(call, Call::Status(_)) => CallResult::NotOffered("it has no such method"),
            _ => {
                let program = self.program.as_mut().unwrap();
                program
                    .input
                    .write_all(call.line(key).as_bytes())
                    .await
                    .unwrap();
                CallResult::read(&program.line().await)
            }
        }
    }

    /// Stops the client and asserts that none of its processes remains.
    pub async fn leave(mut self) -> ClientHome {
        if let Some(Program {
            mut child, input, ..
        }) = self.program.take()
        {
            drop(input);
            let ended = tokio::time::timeout(DEADLINE, child.wait())
                .await
                .expect("the program exits when its input closes");
            assert!(
                ended.as_ref().is_ok_and(std::process::ExitStatus::success),
                "{}: {ended:?}",
                self.kind.title()
            );
        }
        self.home.assert_nothing_runs().await;
        self.home
    }

    async fn call_curl(&self, key: Option<&str>, call: &Call<'_>) -> CallResult {
        let (method, path, body) = call.request();
        let url = format!("{}{path}", self.origin);
        let mut command = self.home.command("curl");
        self.elsewhere.listen_to(&mut command);
        command.args(["-sS", "-w", "\n%{http_code}", "-X", method, &url]);
        if let Some(key) = key {
            command.args(["-H", &format!("Authorization: Bearer {key}")]);
        }
        if let Some(body) = body {
            command.args([
                "-H",
                "Content-Type: application/json",
                "-d",
                &body.to_string(),
            ]);
        }
        let ran = run(command).await;
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
        let (text, status) = ran.stdout.rsplit_once('\n').unwrap();
        let mut body: Value =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        if status == "200" {
            // SDKs return only the document.
            if matches!(call, Call::Scrape(_)) {
                body = body["data"].take();
            }
            return CallResult::Returned(body);
        }
        body["status"] = json!(status.parse::<u16>().unwrap());
        CallResult::Raised(body)
    }

    async fn call_cli(&self, key: Option<&str>, call: &Call<'_>) -> CallResult {
        let arguments = match super::cli_calls::arguments(call) {
            Ok(arguments) => arguments,
            Err(why) => return CallResult::NotOffered(why),
        };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ran = self.cli(key, &arguments).await;
        if ran.code != 0 {
            return CallResult::Raised(json!({"message": ran.stderr, "status": ran.code}));
        }
        CallResult::Returned(super::cli_calls::read(call, &ran))
    }

    /// Runs the CLI as its user would, with the server and the key in the environment.
    pub async fn cli(&self, key: Option<&str>, arguments: &[&str]) -> Ran {
        let mut command = self.cli_command(arguments);
        command.env("FIRECRAWL_API_URL", &self.origin);
        if let Some(key) = key {
            command.env("FIRECRAWL_API_KEY", key);
        }
        run(command).await
    }

    /// Builds a CLI command without any server settings.
    pub fn cli_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(node());
        self.elsewhere.listen_to(&mut command);
        command
            .arg(programs().join("node_modules/firecrawl-cli/dist/index.js"))
            .args(arguments);
        command
    }
}

impl Program {
    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(DEADLINE, self.output.next_line()).await;
        line.expect("the program answers")
            .unwrap()
            .expect("the program keeps running")
    }
}

/// The output and exit status of a command.
#[derive(Debug)]
pub struct Ran {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

/// Runs a command to its end.
pub async fn run(mut command: Command) -> Ran {
    let output = tokio::time::timeout(DEADLINE, command.output()).await;
    let Output {
        status,
        stdout,
        stderr,
    } = output
        .unwrap_or_else(|_| panic!("the command hangs: {command:?}"))
        .unwrap();
    Ran {
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
        code: status
            .code()
            .unwrap_or_else(|| panic!("{status}: {command:?}")),
    }
}

fn programs() -> std::path::PathBuf {
    let programs = repository().join("tests/official");
    assert!(
        programs.join("node_modules").exists(),
        "the clients are not installed: run scripts/setup-tests"
    );
    programs
}

/// Returns the path of the runtime's Node. The SDK requires Node 22, which the machine may not
/// have.
fn node() -> String {
    repository()
        .join("runtime/.installed/bin/node")
        .to_str()
        .unwrap()
        .to_owned()
}

fn python() -> String {
    repository()
        .join("tests/.venv/bin/python")
        .to_str()
        .unwrap()
        .to_owned()
}
