//! State shared by the languages of a session: one browser, one current tab, one working dir, one
//! set of limits.

use std::time::Duration;

use hearth_test_support::{Execution, Session, Site, TestServer, eventually};
use serde_json::json;

const MIB: usize = 1 << 20;

#[tokio::test]
async fn node_and_python_see_the_same_page_at_once() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session.python("0").await.ok();
    session
        .node(&format!(
            "await page.goto('{}'); 0",
            site.url("/title/shared")
        ))
        .await
        .ok();
    assert_eq!(
        session.python("await page.title()").await.ok().result,
        "shared"
    );
    session
        .python("await page.evaluate(\"document.title = 'from python'\")")
        .await
        .ok();
    assert_eq!(
        session.node("await page.title()").await.ok().result,
        "from python"
    );
    server.stop().await;
}

#[tokio::test]
async fn the_page_survives_the_death_of_a_kernel() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session
        .node(&format!("await page.goto('{}'); 0", site.url("/form")))
        .await
        .ok();
    session
        .node("await page.fill('#name', 'Ada'); await page.evaluate(() => { window.marker = 7 })")
        .await
        .ok();
    session
        .node("process.kill(process.pid, 'SIGKILL'); await new Promise(() => {})")
        .await
        .failed(137);
    let code = "[await page.inputValue('#name'), await page.evaluate(() => window.marker)]";
    assert_eq!(session.node(code).await.ok().json(), json!(["Ada", 7]));
    server.stop().await;
}

#[tokio::test]
async fn a_fresh_kernel_starts_on_the_tab_that_was_last_opened_activated_or_navigated() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let fresh_python = async |expected: &str| {
        session.python("import os\nos._exit(1)").await.failed(1);
        assert_eq!(
            session.python("await page.title()").await.ok().result,
            expected
        );
    };
    let setup = format!(
        "const first = page; await first.goto('{}'); const second = await context.newPage(); await second.goto('{}'); 0",
        site.url("/title/first"),
        site.url("/title/second")
    );
    session.node(&setup).await.ok();
    fresh_python("second").await;
    session.node("await first.bringToFront()").await.ok();
    fresh_python("first").await;
    session
        .node(&format!(
            "await second.goto('{}'); 0",
            site.url("/title/second-again")
        ))
        .await
        .ok();
    fresh_python("second-again").await;
    let popup = format!(
        "await first.goto('{}'); const [popped] = await Promise.all([first.waitForEvent('popup'), first.click('a')]); \
         await popped.waitForLoadState(); 0",
        site.url("/popup")
    );
    session.node(&popup).await.ok();
    fresh_python("popped").await;
    session.node("await popped.close()").await.ok();
    session.node("await second.close()").await.ok();
    fresh_python("Opener").await;
    server.stop().await;
}

#[tokio::test]
async fn files_of_one_call_exist_in_the_next_one() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session
        .node("require('node:fs').writeFileSync('from-node.txt', 'node')")
        .await
        .ok();
    session
        .python("open('from-python.txt', 'w').write('python')")
        .await
        .ok();
    assert_eq!(
        session
            .bash("cat from-node.txt from-python.txt")
            .await
            .ok()
            .result,
        "nodepython"
    );
    session.bash("printf bash >~/from-bash.txt").await.ok();
    assert_eq!(
        session
            .node("require('node:fs').readFileSync('from-bash.txt', 'utf8')")
            .await
            .ok()
            .result,
        "bash"
    );

    let dir = session.bash("pwd").await.ok().result;
    let in_node = session
        .node("[process.cwd(), process.env.HOME, process.env.TMPDIR]")
        .await
        .ok()
        .json();
    let in_python = session
        .python("import os\n[os.getcwd(), os.environ['HOME'], os.environ['TMPDIR']]")
        .await
        .ok()
        .json();
    let in_bash = session
        .bash("printf '[\"%s\",\"%s\",\"%s\"]' \"$PWD\" \"$HOME\" \"$TMPDIR\"")
        .await
        .ok()
        .json();
    for seen in [in_node, in_python, in_bash] {
        assert_eq!(seen, json!([dir, dir, dir]));
    }
    let mode = session.bash("stat -c %a .").await.ok().result;
    // Other users have no access; the group belongs to the session.
    assert_eq!(mode, "2770");
    session.delete().await;
    eventually(Duration::from_secs(5), "the dir is removed", async || {
        let is_gone = !std::path::Path::new(&dir).exists();
        is_gone.then_some(()).ok_or_else(|| dir.clone())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn two_sessions_have_separate_dirs_and_cookies() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let (first, second) = (server.session().await, server.session().await);
    let code = format!("await page.goto('{}'); ", site.url("/title/x"));
    first
        .node(&format!(
            "{code} await page.evaluate(() => {{ document.cookie = 'a=1' }})"
        ))
        .await
        .ok();
    first.bash("touch mine").await.ok();
    assert_eq!(
        second
            .node(&format!(
                "{code} await page.evaluate(() => document.cookie)"
            ))
            .await
            .ok()
            .result,
        ""
    );
    assert_eq!(
        second.bash("ls mine 2>/dev/null | wc -l").await.ok().result,
        "0"
    );
    server.stop().await;
}

/// Returns a program that writes `head`, then this many letters, then `tail`, to stdout (1) or
/// stderr (2).
fn writer(language: &str, stream: u8, letters: usize) -> String {
    match (language, stream) {
        ("node", 1) => {
            format!("process.stdout.write('head' + 'x'.repeat({letters}) + 'tail'); undefined")
        }
        ("node", _) => {
            format!("process.stderr.write('head' + 'x'.repeat({letters}) + 'tail'); undefined")
        }
        ("python", 1) => format!("print('head' + 'x' * {letters} + 'tail', end='')"),
        ("python", _) => {
            format!("import sys\nprint('head' + 'x' * {letters} + 'tail', end='', file=sys.stderr)")
        }
        _ => format!(
            "{{ printf head; head -c {letters} /dev/zero | tr '\\0' x; printf tail; }} >&{stream}"
        ),
    }
}

#[track_caller]
fn assert_middle_dropped(text: &str, limit: usize, what: &str) {
    let (start, end): (String, String) = (
        text.chars().take(40).collect(),
        text.chars().rev().take(40).collect(),
    );
    assert!(text.starts_with("headxxx"), "{what} starts with {start}");
    assert!(
        text.ends_with("xxxtail"),
        "{what} ends with {end} (reversed)"
    );
    // The marker between them needs some bytes.
    assert!(
        text.len() <= limit + 200,
        "{what} is {} bytes long",
        text.len()
    );
    assert!(
        text.len() >= limit / 2,
        "{what} is only {} bytes long",
        text.len()
    );
    assert!(
        text.trim_start_matches("head")
            .trim_end_matches("tail")
            .contains(|letter| letter != 'x'),
        "{what}: no marker"
    );
}

#[tokio::test]
async fn output_above_the_limit_loses_its_middle_and_says_so() {
    const LIMIT: usize = 4096;
    let server = TestServer::builder()
        .setting("HEARTH_MAX_OUTPUT_BYTES", &LIMIT.to_string())
        .start()
        .await;
    let session = server.session().await;
    for language in ["node", "python", "bash"] {
        let execution = session
            .run(language, &writer(language, 1, 50_000))
            .await
            .ok();
        assert_middle_dropped(&execution.stdout, LIMIT, &format!("{language} stdout"));
        assert_middle_dropped(&execution.result, LIMIT, &format!("{language} result"));
        assert!(
            execution.truncated && execution.stderr.is_empty(),
            "{language}"
        );
        let execution = session
            .run(language, &writer(language, 2, 50_000))
            .await
            .ok();
        assert_middle_dropped(&execution.stderr, LIMIT, &format!("{language} stderr"));
        assert!(
            execution.truncated && execution.stdout.is_empty(),
            "{language}"
        );
        let execution = session
            .run(language, &writer(language, 1, LIMIT - 8))
            .await
            .ok();
        assert_eq!(
            (execution.truncated, execution.stdout.len()),
            (false, LIMIT),
            "{language}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_value_above_the_limit_loses_its_middle_and_says_so() {
    const LIMIT: usize = 4096;
    let server = TestServer::builder()
        .setting("HEARTH_MAX_OUTPUT_BYTES", &LIMIT.to_string())
        .start()
        .await;
    let session = server.session().await;
    let cases = [
        ("node", "'head' + 'x'.repeat(50000) + 'tail'"),
        ("python", "'head' + 'x' * 50000 + 'tail'"),
    ];
    for (language, code) in cases {
        let execution = session.run(language, code).await.ok();
        assert_middle_dropped(&execution.result, LIMIT, language);
        assert_eq!(
            (execution.truncated, execution.stdout.as_str()),
            (true, ""),
            "{language}"
        );
    }
    let long_error = session
        .node("throw new Error('head' + 'x'.repeat(50000) + 'tail')")
        .await
        .failed(1);
    assert!(
        long_error.error().len() <= LIMIT + 200,
        "an error of {} bytes",
        long_error.error().len()
    );
    server.stop().await;
}

#[tokio::test]
async fn truncation_never_splits_a_character() {
    let server = TestServer::builder()
        .setting("HEARTH_MAX_OUTPUT_BYTES", "4096")
        .start()
        .await;
    let session = server.session().await;
    for start in ["", "a", "ab", "abc"] {
        let execution = session
            .node(&format!(
                "process.stdout.write('{start}' + '🔥'.repeat(5000)); 0"
            ))
            .await
            .ok();
        assert!(
            execution.truncated && !execution.stdout.contains('\u{fffd}'),
            "after {start:?}"
        );
    }
    server.stop().await;
}

async fn write_mebibytes(session: &Session, language: &str, mebibytes: usize) -> Execution {
    session
        .run(language, &writer(language, 1, mebibytes * MIB - 8))
        .await
        .ok()
}

#[tokio::test]
async fn ten_mebibytes_of_output_are_kept_by_default() {
    let server = TestServer::start().await;
    let session = server.session().await;
    for language in ["node", "python", "bash"] {
        let whole = write_mebibytes(&session, language, 9).await;
        assert_eq!(
            (whole.truncated, whole.stdout.len()),
            (false, 9 * MIB),
            "{language}"
        );
        let cut = write_mebibytes(&session, language, 12).await;
        assert!(cut.truncated, "{language}");
        assert_middle_dropped(&cut.stdout, 10 * MIB, language);
    }
    server.stop().await;
}

#[tokio::test]
async fn endless_output_is_drained_until_the_timeout() {
    let server = TestServer::builder()
        .setting("HEARTH_MAX_OUTPUT_BYTES", "4096")
        .start()
        .await;
    let session = server.session().await;
    let execution = session.run_for("bash", "yes", 2).await.killed_at(2);
    assert!(
        execution.truncated && execution.stdout.len() < 4096 + 200,
        "{} bytes",
        execution.stdout.len()
    );
    server.stop().await;
}

/// Returns true if this machine lets the server mount.
async fn mounts_are_possible() -> bool {
    let status = tokio::process::Command::new("/usr/bin/unshare")
        .args(["--mount", "true"])
        .status()
        .await;
    status.is_ok_and(|status| status.success())
}

#[tokio::test]
async fn slash_tmp_works_in_every_language_and_in_the_browser() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let name = format!("hearth-{}", uuid::Uuid::now_v7());
    session
        .bash(&format!(
            "echo '<title>from tmp</title>' > /tmp/{name}.html"
        ))
        .await
        .ok();
    let read = session
        .node(&format!(
            "require('fs').readFileSync('/tmp/{name}.html', 'utf8').trim()"
        ))
        .await
        .ok();
    assert_eq!(read.result, "<title>from tmp</title>");
    let title = session
        .node(&format!(
            "await page.goto('file:///tmp/{name}.html'); await page.title()"
        ))
        .await
        .ok();
    assert_eq!(title.result, "from tmp");
    session
        .python(&format!("await page.screenshot(path='/tmp/{name}.png')"))
        .await
        .ok();
    assert_eq!(
        session
            .bash(&format!(
                "head -c 4 /tmp/{name}.png | tail -c 3; rm /tmp/{name}.*"
            ))
            .await
            .ok()
            .result,
        "PNG"
    );
    server.stop().await;
}

#[tokio::test]
async fn slash_tmp_is_private_to_a_session_where_mounts_are_possible() {
    if !mounts_are_possible().await {
        return;
    }
    let server = TestServer::start().await;
    let (one, other) = (server.session().await, server.session().await);
    let name = format!("hearth-{}", uuid::Uuid::now_v7());
    for language in ["bash", "python", "node"] {
        let path = format!("/tmp/{name}-{language}");
        let write = match language {
            "bash" => format!("echo secret > {path}"),
            "python" => format!("open('{path}', 'w').write('secret')"),
            _ => format!("require('fs').writeFileSync('{path}', 'secret')"),
        };
        one.run(language, &write).await.ok();
        assert_eq!(
            one.bash(&format!("cat {path}")).await.ok().result.trim(),
            "secret",
            "{language}"
        );
        other.bash(&format!("cat {path}")).await.failed(1);
        assert!(
            !std::path::Path::new(&path).exists(),
            "{path} exists outside the session"
        );
    }
    let machines = tempfile::Builder::new()
        .prefix("machine-")
        .tempfile_in("/tmp")
        .expect("/tmp is writable");
    one.bash(&format!("ls {}", machines.path().display()))
        .await
        .failed(2);
    assert_eq!(one.bash("stat -c %a /tmp").await.ok().result, "1777");
    server.stop().await;
}
