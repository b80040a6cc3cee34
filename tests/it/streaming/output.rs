//! Output events: when they arrive, and what they carry.

use hearth_test_support::{Session, TestServer};
use serde_json::json;

use super::events::Events;

/// Returns code that prints, waits until the file `go` exists, and prints more.
fn waiting(language: &str) -> &'static str {
    match language {
        "node" => {
            "console.log('first'); console.error('problem');\n\
             const { existsSync } = require('node:fs');\n\
             while (!existsSync('go')) await new Promise((go) => setTimeout(go, 20));\n\
             console.log('second'); 7"
        }
        "python" => {
            "import os, sys, time\nprint('first')\nprint('problem', file=sys.stderr)\n\
             while not os.path.exists('go'): time.sleep(0.02)\nprint('second')\n7"
        }
        _ => "echo first; echo problem >&2; until [ -e go ]; do sleep 0.02; done; echo second",
    }
}

async fn touch(session: &Session, language: &str) {
    match language {
        "bash" => session
            .node("require('node:fs').writeFileSync('go', '')")
            .await
            .ok(),
        _ => session.bash("touch go").await.ok(),
    };
}

#[tokio::test]
async fn output_arrives_while_the_code_runs() {
    let server = TestServer::start().await;
    for (language, result) in [("node", Some("7")), ("python", Some("7")), ("bash", None)] {
        let session = server.session().await;
        let mut events = Events::of(&server, session.id(), language, waiting(language)).await;
        events.until("stdout", "first\n").await;
        events.until("stderr", "problem\n").await;
        touch(&session, language).await;
        let transcript = events.finish().await.ok();
        assert_eq!(transcript.stdout, "first\nsecond\n", "{language}");
        assert_eq!(transcript.stderr, "problem\n", "{language}");
        // The result of code without a value is a part of stdout, which was sent before.
        assert_eq!(transcript.result.as_deref(), result, "{language}");
        session.delete().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn characters_that_are_written_in_parts_arrive_whole() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        (
            "node",
            "for (const byte of Buffer.from('a😀é€\\n')) {\n\
             require('node:fs').writeSync(1, Buffer.of(byte));\n\
             await new Promise((go) => setTimeout(go, 20)) }",
        ),
        (
            "python",
            "import os, time\nfor byte in 'a😀é€\\n'.encode():\n    os.write(1, bytes([byte]))\n    time.sleep(0.02)",
        ),
        (
            "bash",
            "for byte in 61 f0 9f 98 80 c3 a9 e2 82 ac 0a; do printf \"\\x$byte\"; sleep 0.02; done",
        ),
    ];
    for (language, code) in cases {
        let events = Events::of(&server, session.id(), language, code).await;
        let transcript = events.finish().await.ok();
        assert_eq!(transcript.stdout, "a😀é€\n", "{language}");
    }
    // Neither half of a pair is a character, and the last byte begins one that does not end.
    let code = "process.stdout.write('\\ud83d'); process.stdout.write('\\ude00');\n\
                process.stdout.write(Buffer.of(0xff, 0x41, 0xf0, 0x9f)); 0";
    let events = Events::of(&server, session.id(), "node", code).await;
    let transcript = events.finish().await.ok();
    assert!(
        transcript.stdout.ends_with("\u{fffd}A\u{fffd}"),
        "{transcript:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn output_from_between_calls_comes_first() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let late = "setTimeout(() => { console.log('late');\n\
                require('node:fs').writeFileSync('go', '') }, 50); 0";
    session.node(late).await.ok();
    session
        .bash("until [ -e go ]; do sleep 0.02; done")
        .await
        .ok();
    let events = Events::of(&server, session.id(), "node", "console.log('now')").await;
    let transcript = events.finish().await.ok();
    assert_eq!(transcript.stdout, "late\nnow\n");
    assert!(
        transcript.stderr.starts_with("[written between calls: "),
        "{transcript:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn long_output_loses_its_middle_as_in_other_responses() {
    let server = TestServer::builder()
        .setting("HEARTH_MAX_OUTPUT_BYTES", "20000")
        .start()
        .await;
    let session = server.session().await;
    let cases = [
        (
            "node",
            "process.stdout.write('head' + '€'.repeat(300000) + 'tail'); 'v'.repeat(50000)",
        ),
        (
            "python",
            "print('head' + '€' * 300000 + 'tail', end='')\n'v' * 50000",
        ),
        (
            "bash",
            "printf head; head -c 900000 /dev/zero | tr '\\0' x; printf tail",
        ),
    ];
    for (language, code) in cases {
        let events = Events::of(&server, session.id(), language, code).await;
        let transcript = events.finish().await.ok();
        assert_eq!(transcript.end["truncated"], json!(true), "{language}");
        let stdout = &transcript.stdout;
        assert!(stdout.len() < 21_000, "{language}: {} bytes", stdout.len());
        assert!(
            stdout.starts_with("head") && stdout.ends_with("tail"),
            "{language}"
        );
        assert!(stdout.contains("bytes dropped"), "{language}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_comment_shows_that_quiet_code_still_runs() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let events = Events::of(&server, session.id(), "bash", "sleep 17; echo done").await;
    let transcript = events.finish().await.ok();
    assert_eq!(transcript.stdout, "done\n");
    assert!(transcript.comments > 0, "{transcript:?}");
    server.stop().await;
}
