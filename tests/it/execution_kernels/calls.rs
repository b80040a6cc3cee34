//! State between calls: the browser, its tabs, late output and children.

use std::time::Duration;

use hearth_test_support::process::{self, Process};
use hearth_test_support::{Site, TestServer, eventually};
use serde_json::json;

use super::start;

#[tokio::test]
async fn a_closed_browser_is_connected_again_before_the_next_call() {
    let (server, sessions) = start().await;
    let site = Site::start().await;
    let url = site.url("/title/still-here");
    for (language, session) in &sessions {
        let (keep, look) = match *language {
            "node" => (
                format!("let kept = 1; await page.goto('{url}'); undefined"),
                "[browser.isConnected(), context.pages().length, page.isClosed(), await page.title(), kept]",
            ),
            _ => (
                format!("kept = 1\nawait page.goto('{url}')\nNone"),
                "[browser.is_connected(), len(context.pages), page.is_closed(), await page.title(), kept]",
            ),
        };
        session.run(language, &keep).await.ok();
        session.run(language, "await browser.close()").await.ok();
        assert_eq!(
            session.run(language, look).await.ok().json(),
            json!([true, 1, false, "still-here", 1]),
            "{language}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn when_the_last_tab_was_closed_a_new_one_is_opened() {
    let (server, sessions) = start().await;
    let site = Site::start().await;
    let url = site.url("/title/new");
    for (language, session) in &sessions {
        let (close, look) = match *language {
            "node" => (
                "await context.newPage(); for (const tab of context.pages()) await tab.close(); undefined",
                format!("await page.goto('{url}'); [context.pages().length, await page.title()]"),
            ),
            _ => (
                "for tab in context.pages:\n    await tab.close()",
                format!("await page.goto('{url}')\n[len(context.pages), await page.title()]"),
            ),
        };
        session.run(language, close).await.ok();
        assert_eq!(
            session.run(language, &look).await.ok().json(),
            json!([1, "new"]),
            "{language}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn output_between_two_calls_belongs_to_the_next_one_and_is_marked() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let cases = [
        (
            "node",
            format!(
                "setTimeout(async () => {{ console.log('between'); console.error('late'); {} }}, 50); 'set'",
                site.node_signal("written-by-node")
            ),
            "console.log('mine')",
        ),
        (
            "python",
            format!(
                "import threading, sys\n\
                 def write():\n    print('between', flush=True)\n    print('late', file=sys.stderr, flush=True)\n    {}\n\
                 threading.Timer(0.05, write).start()\n'set'",
                site.python_signal("written-by-python")
            ),
            "print('mine')",
        ),
    ];
    for (language, late, own) in cases {
        assert_eq!(session.run(language, &late).await.ok().result, "set");
        site.signalled(&format!("written-by-{language}")).await;
        let next = session.run(language, own).await.ok();
        assert_eq!(
            (next.stdout.as_str(), next.stderr.as_str()),
            (
                "between\nmine\n",
                "[written between calls: 8 bytes to stdout, 5 bytes to stderr]\nlate\n"
            ),
            "{language}"
        );
        // It is delivered once.
        let after = session.run(language, "'after'").await.ok();
        assert_eq!((after.stdout.as_str(), after.stderr.as_str()), ("", ""));
    }
    server.stop().await;
}

#[tokio::test]
async fn an_error_between_two_calls_is_reported_by_the_next_one() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let cases = [
        (
            "node",
            format!(
                "setTimeout(() => {{ Promise.reject(new Error('late')); setTimeout(async () => {{ {} }}, 20) }}, 20); 0",
                site.node_signal("failed-in-node")
            ),
        ),
        (
            "python",
            format!(
                "import threading\ndef fail():\n    threading.Timer(0.05, signal).start()\n    raise ValueError('late')\n\
                 def signal():\n    {}\nthreading.Timer(0.02, fail).start()",
                site.python_signal("failed-in-python")
            ),
        ),
    ];
    for (language, code) in cases {
        session.run(language, &code).await.ok();
        site.signalled(&format!("failed-in-{language}")).await;
        let next = session.run(language, "'next'").await.ok();
        assert!(
            next.stderr.contains("late") && next.stderr.starts_with("[written between calls: "),
            "{language}: {}",
            next.stderr
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn the_next_call_gets_the_last_output_of_a_process_that_exited_between_calls() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        (
            "node",
            "var kept = 1; setTimeout(() => { console.log('last'); console.error('words'); process.kill(process.pid, 'SIGKILL') }, 50); process.pid",
            "console.log(typeof kept)",
        ),
        (
            "python",
            "import os, sys, threading\nkept = 1\n\
             def leave():\n\
             \x20   print('last')\n\
             \x20   print('words', file=sys.stderr)\n\
             \x20   os.kill(os.getpid(), 9)\n\
             threading.Timer(0.05, leave).start()\n\
             os.getpid()",
            "print('number' if 'kept' in globals() else 'undefined')",
        ),
    ];
    for (language, leave, next) in cases {
        let kernel: i32 = session
            .run(language, leave)
            .await
            .ok()
            .result
            .parse()
            .expect("a process id");
        eventually(Duration::from_secs(20), "the process is gone", || async {
            let processes = server.processes();
            let is_left = |process: &Process| process.pid == kernel && process.state != 'Z';
            if processes.iter().any(is_left) {
                Err(process::describe(&processes))
            } else {
                Ok(())
            }
        })
        .await;
        let execution = session.run(language, next).await.ok();
        assert_eq!(
            (execution.stdout.as_str(), execution.stderr),
            (
                "last\nundefined\n",
                format!(
                    "[written between calls: 5 bytes to stdout, 6 bytes to stderr]\nwords\n\
                     [the {language} process exited between calls, so the variables of earlier calls are lost]\n"
                )
            ),
            "{language}"
        );
        // It is delivered once.
        let after = session.run(language, "'after'").await.ok();
        assert_eq!((after.stdout.as_str(), after.stderr.as_str()), ("", ""));
    }
    server.stop().await;
}

#[tokio::test]
async fn output_between_two_calls_is_bounded() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    // The timer waits for the second call, so it cannot write before the first one has ended.
    let code = format!(
        "var fs = require('fs'); var timer = setInterval(async () => {{ if (!fs.existsSync('go')) return; \
         clearInterval(timer); process.stdout.write('head' + 'x'.repeat(1000000) + 'tail'); {} }}, 10); 0",
        site.node_signal("written")
    );
    session.node(&code).await.ok();
    session.bash("touch go").await.ok();
    site.signalled("written").await;
    let next = session.node("0").await.ok();
    assert!(
        next.stdout.starts_with("headxxx") && next.stdout.ends_with("xxxtail"),
        "{} bytes",
        next.stdout.len()
    );
    assert!(next.stdout.len() < 70_000, "{} bytes", next.stdout.len());
    assert_eq!(
        (next.truncated, next.stderr.as_str()),
        (
            true,
            "[written between calls: 1000008 bytes to stdout, 0 bytes to stderr]\n"
        )
    );
    assert!(!session.node("0").await.ok().truncated);
    server.stop().await;
}

#[tokio::test]
async fn late_output_belongs_to_the_call_that_it_falls_into() {
    let server = TestServer::start().await;
    let session = server.session().await;
    // The timer and the thread wait for the second call, so they cannot write before it.
    let cases = [
        (
            "node",
            "const timer = setInterval(() => { if (globalThis.go) { console.log('late'); clearInterval(timer) } }, 10)",
            "globalThis.go = true; await new Promise((done) => setTimeout(done, 300)); console.log('own')",
        ),
        (
            "python",
            "import threading, asyncio\ngo = threading.Event()\nwritten = threading.Event()\n\
             def write():\n    go.wait()\n    print('late')\n    written.set()\n\
             threading.Thread(target=write, daemon=True).start()",
            "go.set()\nawait asyncio.to_thread(written.wait)\nprint('own')",
        ),
    ];
    for (language, start, go) in cases {
        session.run(language, start).await.ok();
        let execution = session.run(language, go).await.ok();
        assert_eq!(execution.stdout, "late\nown\n", "{language}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_child_that_keeps_stdout_open_does_not_hold_the_answer() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        (
            "node",
            "require('node:child_process').spawn('sleep', ['300'], {stdio: 'inherit'}); 'answered'",
        ),
        (
            "python",
            "import subprocess\nchild = subprocess.Popen(['sleep', '300'])\n'answered'",
        ),
    ];
    for (language, code) in cases {
        session.run(language, "0").await.ok();
        let execution = session.run(language, code).await.ok();
        assert_eq!(execution.result, "answered", "{language}");
        assert!(
            execution.elapsed < Duration::from_secs(2),
            "{language}: answered after {:?}",
            execution.elapsed
        );
    }
    server.stop().await;
}
