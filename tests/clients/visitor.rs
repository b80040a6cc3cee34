//! A third-party client that a test drives step by step: `visitor.mjs`.

use std::process::Stdio;
use std::time::Duration;

use hearth_test_support::{ClientHome, Session, repository};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

/// The time limit for one step.
const DEADLINE: Duration = Duration::from_mins(1);

/// A connected client. Dropping it kills its process.
pub struct Visitor {
    home: ClientHome,
    program: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Visitor {
    /// Starts a client of a library, `playwright` or `puppeteer`, and waits until it is connected.
    pub async fn connect(library: &str, session: &Session) -> Self {
        let home = ClientHome::default();
        let mut program = home
            .command(repository().join("runtime/.installed/bin/node"))
            .arg(repository().join("tests/clients/visitor.mjs"))
            .args([library, session.cdp_url()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Node would make an inherited one non-blocking.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = program.stdin.take().unwrap();
        let output = BufReader::new(program.stdout.take().unwrap()).lines();
        let mut visitor = Self {
            home,
            program,
            input,
            output,
        };
        visitor.run("0").await;
        visitor
    }

    /// Runs the body of a function and returns its value.
    pub async fn run(&mut self, body: &str) -> Value {
        let line = format!("{}\n", Value::from(body));
        self.input.write_all(line.as_bytes()).await.unwrap();
        let answer = tokio::time::timeout(DEADLINE, self.output.next_line()).await;
        let answer = answer.unwrap_or_else(|_| panic!("no answer to {body}"));
        let answer = answer.unwrap().expect("the client runs");
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(answer.get("error").is_none(), "{body}: {answer}");
        answer["value"].take()
    }

    /// Waits until the client has left.
    pub async fn leave(mut self) {
        drop(self.input);
        let exit = tokio::time::timeout(DEADLINE, self.program.wait()).await;
        assert!(exit.unwrap().unwrap().success());
        self.home.assert_nothing_runs().await;
    }
}
