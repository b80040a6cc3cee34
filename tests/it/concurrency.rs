//! Concurrent executions: separate outputs, one at a time per language, and clients that
//! disconnect.

use std::time::Duration;

use futures_util::future::join_all;
use hearth_test_support::process;
use hearth_test_support::{GREETING, Session, Site, TestServer, eventually};
use reqwest::Method;
use serde_json::json;

const LANGUAGES: [&str; 3] = ["node", "python", "bash"];

/// Returns code that writes `mark` to stdout and a text of twice the length to stderr. Its value is
/// `mark` if the language has values.
fn marked(language: &str, mark: &str) -> String {
    match language {
        "node" => format!("console.log('{mark}'); console.error('{mark}{mark}'); '{mark}'"),
        "python" => {
            format!("import sys\nprint('{mark}')\nprint('{mark}{mark}', file=sys.stderr)\n'{mark}'")
        }
        _ => format!("echo {mark}; echo {mark}{mark} >&2"),
    }
}

async fn run_marked(session: &Session, number: usize) {
    let language = LANGUAGES[number % 3];
    let mark = format!("mark-{number}-end");
    let execution = session
        .run_for(language, &marked(language, &mark), 120)
        .await
        .ok();
    assert_eq!(execution.stdout, format!("{mark}\n"), "{language}");
    assert_eq!(execution.stderr, format!("{mark}{mark}\n"), "{language}");
    assert_eq!(execution.result, mark, "{language}");
}

#[tokio::test]
async fn two_hundred_mixed_executions_in_four_sessions_do_not_mix_their_outputs() {
    let server = TestServer::start().await;
    let sessions = join_all((0..4).map(|_| server.session())).await;
    join_all((0..200).map(|number| run_marked(&sessions[number / 50], number))).await;
    server.stop().await;
}

#[tokio::test]
async fn a_second_execution_of_a_language_waits_for_the_first() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    for language in LANGUAGES {
        let signal = site.signal_in(language, language);
        let slow = match language {
            "node" => format!(
                "{signal} await new Promise((done) => setTimeout(done, 500)); console.log(Date.now())"
            ),
            "python" => {
                format!(
                    "import asyncio, time\n{signal}\nawait asyncio.sleep(0.5)\nprint(int(time.time() * 1000))"
                )
            }
            _ => format!("{signal}; sleep 0.5; date +%s%3N"),
        };
        let now = match language {
            "node" => "console.log(Date.now())",
            "python" => "import time\nprint(int(time.time() * 1000))",
            _ => "date +%s%3N",
        };
        let second = async {
            site.signalled(language).await;
            session.run(language, now).await.ok()
        };
        let (first, second) = tokio::join!(session.run(language, &slow), second);
        let time = |text: &str| {
            text.parse::<u64>()
                .unwrap_or_else(|error| panic!("{error}: {text}"))
        };
        let (first, second) = (time(&first.ok().result), time(&second.result));
        assert!(
            first <= second,
            "{language}: the second execution ran at {second}, before the first ended at {first}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn an_execution_whose_timeout_passes_while_it_waits_is_not_run() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    for language in LANGUAGES {
        let signal = site.signal_in(language, language);
        let slow = match language {
            "node" => format!("{signal} await new Promise((done) => setTimeout(done, 2500)); 0"),
            "python" => format!("import asyncio\n{signal}\nawait asyncio.sleep(2.5)"),
            _ => format!("{signal}; sleep 2.5"),
        };
        let touch = match language {
            "node" => "require('node:fs').writeFileSync('it-ran', '')",
            "python" => "open('it-ran', 'w')",
            _ => "touch it-ran",
        };
        let refused = async {
            site.signalled(language).await;
            let start = std::time::Instant::now();
            let reply = session
                .execute(&json!({"language": language, "code": touch, "timeout": 1}))
                .await;
            (reply, start.elapsed())
        };
        let (slow, (reply, elapsed)) = tokio::join!(session.run(language, &slow), refused);
        slow.ok();
        assert_eq!(reply.status, 429, "{language}: {}", reply.text);
        reply.assert_retry_after();
        assert!(
            (1000..2000).contains(&elapsed.as_millis()),
            "{language}: refused after {elapsed:?}"
        );
        assert_eq!(
            session
                .bash("ls it-ran 2>/dev/null | wc -l")
                .await
                .ok()
                .result,
            "0",
            "{language} was run"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn waiting_counts_against_an_executions_own_timeout() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let slow = format!("{}; sleep 2", site.bash_signal("slow"));
    let second = async {
        site.signalled("slow").await;
        session.run_for("bash", "echo begun; sleep 60", 4).await
    };
    let (first, second) = tokio::join!(session.bash(&slow), second);
    first.ok();
    // The total is four seconds and not six.
    assert_eq!(second.killed_at(4).stdout, "begun\n");
    server.stop().await;
}

#[tokio::test]
async fn different_languages_of_a_session_run_concurrently() {
    let server = TestServer::start().await;
    let session = server.session().await;
    // Each execution ends only while the other two run, because they wait for each other's files.
    let node = "const fs = require('node:fs'); fs.writeFileSync('n', ''); \
                while (!fs.existsSync('p') || !fs.existsSync('b')) await new Promise((done) => setTimeout(done, 10)); 'met'";
    let python = "import asyncio, os\nopen('p', 'w').close()\n\
                  while not (os.path.exists('n') and os.path.exists('b')):\n    await asyncio.sleep(0.01)\n'met'";
    let bash = "touch b; until [ -e n ] && [ -e p ]; do sleep 0.01; done; echo met";
    let (node, python, bash) = tokio::join!(
        session.node(node),
        session.python(python),
        session.bash(bash)
    );
    for execution in [node, python, bash] {
        assert_eq!(execution.ok().result, "met");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_disconnects_cancels_its_execution() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    for language in LANGUAGES {
        let signal = site.signal_in(language, language);
        let endless = match language {
            "node" => format!("{signal} require('node:child_process').execSync('sleep 4201')"),
            "python" => format!("import subprocess\n{signal}\nsubprocess.run(['sleep', '4202'])"),
            _ => format!("{signal}; setsid -f sleep 4203; sleep 4204"),
        };
        let request = server.request(Method::POST, &format!("/{}/execute", session.id()));
        let body = json!({"language": language, "code": endless, "timeout": 120});
        tokio::select! {
            answer = request.json(&body).send() => panic!("{language} ended: {answer:?}"),
            () = site.signalled(language) => {}
        }
        let waiting = std::time::Instant::now();
        session.run(language, &marked(language, "next")).await.ok();
        assert!(
            waiting.elapsed() < Duration::from_secs(30),
            "{language}: the next execution waited {:?}",
            waiting.elapsed()
        );
        eventually(
            Duration::from_secs(1),
            "the cancelled execution is cleaned up",
            || async {
                let processes = server.processes();
                let left: Vec<_> = processes
                    .iter()
                    .filter(|process| process.command.contains("sleep 42"))
                    .collect();
                if left.is_empty() {
                    Ok(())
                } else {
                    Err(process::describe(left))
                }
            },
        )
        .await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_disconnects_while_waiting_leaves_the_queue() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let slow = format!("{}; sleep 1", site.bash_signal("slow"));
    let leaving = async {
        site.signalled("slow").await;
        let body = json!({"language": "bash", "code": "touch it-ran"});
        let impatient = session.execute(&body);
        assert!(
            tokio::time::timeout(Duration::from_millis(300), impatient)
                .await
                .is_err(),
            "the execution did not wait"
        );
    };
    let (first, ()) = tokio::join!(session.bash(&slow), leaving);
    first.ok();
    assert_eq!(
        session
            .bash("ls it-ran 2>/dev/null | wc -l")
            .await
            .ok()
            .result,
        "0"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_download_is_saved_even_if_another_client_uses_the_browser_first() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session
        .node(&format!(
            "await page.goto('{}'); 0",
            site.url("/title/start")
        ))
        .await
        .ok();
    session.python("await page.title()").await.ok();
    let saving = format!(
        "const coming = page.waitForEvent('download'); await page.evaluate(\"setTimeout(() => {{ location.href = '{}' }})\"); {} \
         await (await coming).saveAs('saved.txt'); require('fs').readFileSync('saved.txt', 'utf8')",
        site.url("/held/go"),
        site.node_signal("clicked")
    );
    let meanwhile = async {
        site.signalled("clicked").await;
        let code = format!(
            "await (await context.new_page()).evaluate('1'); {}; 0",
            site.python_signal("go")
        );
        session.python(&code).await.ok()
    };
    let (saved, _) = tokio::join!(session.node(&saving), meanwhile);
    assert_eq!(saved.ok().result, GREETING);
    server.stop().await;
}
