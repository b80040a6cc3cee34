//! The contract that node and python code share. Each test is one table with rows of both
//! languages; what only one of them has is in `execution_node` and `execution_python`.

use std::time::Duration;

use hearth_test_support::{Session, Site, TestServer};
use serde_json::json;

/// A server with a session for each language: `[("node", session), ("python", session)]`.
async fn start() -> (TestServer, [(&'static str, Session); 2]) {
    let server = TestServer::start().await;
    let sessions = [
        ("node", server.session().await),
        ("python", server.session().await),
    ];
    (server, sessions)
}

#[tokio::test]
async fn the_value_of_the_last_expression_is_the_result() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        ("node", "1 + 1", "2"),
        ("node", "'text'", "text"),
        ("node", "'two\\nlines\\n'", "two\nlines\n"),
        ("node", "''", ""),
        ("node", "true", "true"),
        ("node", "null", "null"),
        ("node", "0.5", "0.5"),
        ("node", "await Promise.resolve('awaited')", "awaited"),
        ("node", "const x = 4; x * 2", "8"),
        ("node", "({a: 1}).a // a comment", "1"),
        // Values that JSON does not have are shown as node shows them.
        ("node", "10n", "10n"),
        ("node", "NaN", "NaN"),
        ("node", "Infinity", "Infinity"),
        ("node", "Symbol('s')", "Symbol(s)"),
        ("node", "new Map([[1, 2]])", "Map(1) { 1 => 2 }"),
        ("node", "new Set(['a'])", "Set(1) { 'a' }"),
        ("node", "/re/g", "/re/g"),
        ("node", "(function name() {})", "[Function: name]"),
        (
            "node",
            "const circle = {a: 1}; circle.self = circle; circle",
            "<ref *1> { a: 1, self: [Circular *1] }",
        ),
        ("python", "1 + 1", "2"),
        ("python", "'text'", "text"),
        ("python", "'two\\nlines\\n'", "two\nlines\n"),
        ("python", "''", ""),
        ("python", "True", "true"),
        ("python", "0.5", "0.5"),
        (
            "python",
            "import asyncio\nawait asyncio.sleep(0, 'awaited')",
            "awaited",
        ),
        ("python", "x = 4\nx * 2", "8"),
        ("python", "{'a': 1}['a']  # a comment", "1"),
        // Values that JSON does not have are shown as python shows them.
        ("python", "float('nan')", "nan"),
        ("python", "b'bytes'", "b'bytes'"),
        ("python", "1 + 2j", "(1+2j)"),
        ("python", "{1}", "{1}"),
        (
            "python",
            "circle = [1]\ncircle.append(circle)\ncircle",
            "[1, [...]]",
        ),
        (
            "python",
            "ValueError('as a value')",
            "ValueError('as a value')",
        ),
        ("python", "range(3)", "range(0, 3)"),
    ];
    for (language, code, expected) in cases {
        let execution = session.run(language, code).await.ok();
        assert_eq!(
            (execution.result.as_str(), execution.stdout.as_str()),
            (expected, ""),
            "{language}: {code}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn objects_and_lists_are_shown_as_json() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        (
            "node",
            "({title: 'x', tags: ['a', null], deep: {n: 1.5}})",
            json!({"title": "x", "tags": ["a", null], "deep": {"n": 1.5}}),
        ),
        ("node", "[1, 'two', [3]]", json!([1, "two", [3]])),
        ("node", "[]", json!([])),
        (
            "node",
            "await page.evaluate(() => ({width: 3, list: [1]}))",
            json!({"width": 3, "list": [1]}),
        ),
        (
            "python",
            "{'title': 'ü', 'tags': ['a', None], 'deep': {'n': 1.5}}",
            json!({"title": "ü", "tags": ["a", null], "deep": {"n": 1.5}}),
        ),
        ("python", "[1, 'two', [3]]", json!([1, "two", [3]])),
        (
            "python",
            "await page.evaluate('() => ({width: 3, list: [1]})')",
            json!({"width": 3, "list": [1]}),
        ),
    ];
    for (language, code, expected) in cases {
        let execution = session.run(language, code).await.ok();
        assert_eq!(execution.json(), expected, "{language}: {code}");
    }
    server.stop().await;
}

#[tokio::test]
async fn without_a_value_the_result_is_stdout_less_its_last_newline() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        (
            "node",
            "console.log('a'); console.log('b')",
            "a\nb\n",
            "a\nb",
        ),
        ("node", "console.log('a'); undefined", "a\n", "a"),
        ("node", "const y = 1", "", ""),
        (
            "node",
            "process.stdout.write('no newline'); void 0",
            "no newline",
            "no newline",
        ),
        ("node", "// nothing", "", ""),
        ("node", "console.log('printed'); 5", "printed\n", "5"),
        ("python", "print('a')\nprint('b')", "a\nb\n", "a\nb"),
        ("python", "print('a')\nNone", "a\n", "a"),
        ("python", "y = 1", "", ""),
        (
            "python",
            "print('no newline', end='')",
            "no newline",
            "no newline",
        ),
        ("python", "# nothing", "", ""),
        ("python", "print('printed')\n5", "printed\n", "5"),
    ];
    for (language, code, stdout, result) in cases {
        let execution = session.run(language, code).await.ok();
        assert_eq!(
            (execution.stdout.as_str(), execution.result.as_str()),
            (stdout, result),
            "{language}: {code}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn stdout_and_stderr_are_kept_apart() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        (
            "node",
            "console.log('out'); console.error('err'); undefined",
        ),
        (
            "python",
            "import sys\nprint('out')\nprint('err', file=sys.stderr)",
        ),
    ];
    for (language, code) in cases {
        let execution = session.run(language, code).await.ok();
        assert_eq!(
            (execution.stdout.as_str(), execution.stderr.as_str()),
            ("out\n", "err\n"),
            "{language}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn an_exception_is_named_in_the_error_and_its_stack_is_on_stderr() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        (
            "node",
            "console.log('before'); throw new TypeError('bad thing')",
            "TypeError: bad thing",
        ),
        (
            "node",
            "console.log('before'); function f() { null.x }; f()",
            "TypeError: Cannot read properties of null (reading 'x')",
        ),
        (
            "node",
            "console.log('before'); await Promise.reject(new RangeError('late'))",
            "RangeError: late",
        ),
        (
            "node",
            "console.log('before'); missing",
            "ReferenceError: missing is not defined",
        ),
        (
            "node",
            "console.log('before'); class Mine extends Error { name = 'Mine' }; throw new Mine('own')",
            "Mine: own",
        ),
        (
            "python",
            "print('before')\nraise ValueError('bad thing')",
            "ValueError: bad thing",
        ),
        (
            "python",
            "print('before')\ndef f():\n    return 1 / 0\nf()",
            "ZeroDivisionError: division by zero",
        ),
        (
            "python",
            "print('before')\nmissing",
            "NameError: name 'missing' is not defined",
        ),
        (
            "python",
            "print('before')\nclass Mine(Exception): pass\nraise Mine('own')",
            "Mine: own",
        ),
        (
            "python",
            "print('before')\nraise KeyboardInterrupt('x')",
            "KeyboardInterrupt: x",
        ),
    ];
    for (language, code, error) in cases {
        let execution = session.run(language, code).await.failed(1);
        let stderr = &execution.stderr;
        assert_eq!(execution.error(), error, "{language}: {code}");
        assert_eq!(execution.stdout, "before\n", "{language}: {code}");
        assert!(stderr.contains(error), "{language}: {code}: {stderr}");
        assert!(
            !stderr.contains("node:inspector"),
            "the kernel's own frames show: {stderr}"
        );
        if language == "python" {
            assert!(
                stderr.starts_with("Traceback (most recent call last):"),
                "{code}: {stderr}"
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn code_that_does_not_parse_fails_with_a_syntax_error() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        ("node", "console.log('never'); let = = 5"),
        ("python", "print('never')\nx = = 5"),
    ];
    for (language, code) in cases {
        let execution = session.run(language, code).await.failed(1);
        assert!(
            execution.error().starts_with("SyntaxError: "),
            "{language}: {}",
            execution.error()
        );
        assert_eq!(execution.stdout, "", "{language}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_playwright_timeout_is_told_in_playwrights_words() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let url = site.url("/hang");
    let cases = [
        (
            "node",
            format!("await page.goto('{url}', {{timeout: 300}})"),
            "TimeoutError: page.goto: Timeout 300ms exceeded.",
        ),
        (
            "python",
            format!("await page.goto('{url}', timeout=300)"),
            "TimeoutError: Page.goto: Timeout 300ms exceeded.",
        ),
    ];
    for (language, code, start) in cases {
        let execution = session.run(language, &code).await.failed(1);
        assert!(
            execution.error().starts_with(start),
            "{language}: {}",
            execution.error()
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn an_exception_does_not_end_the_kernel() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        ("node", "let kept = 'kept'", "throw new Error('x')"),
        ("python", "kept = 'kept'", "raise ValueError('x')"),
    ];
    for (language, keep, fail) in cases {
        session.run(language, keep).await.ok();
        session.run(language, fail).await.failed(1);
        let execution = session.run(language, "kept").await.ok();
        assert_eq!(execution.result, "kept", "{language}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_signal_that_ends_the_kernel_is_128_and_its_number() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        ("node", "SIGKILL", 137),
        ("node", "SIGTERM", 143),
        ("node", "SIGABRT", 134),
        ("python", "SIGKILL", 137),
        ("python", "SIGTERM", 143),
        ("python", "SIGSEGV", 139),
    ];
    for (language, signal, exit_code) in cases {
        let code = match language {
            "node" => format!(
                "console.log('before'); process.kill(process.pid, '{signal}'); await new Promise(() => {{}})"
            ),
            _ => format!(
                "import os, signal\nprint('before', flush=True)\nos.kill(os.getpid(), signal.{signal})\nawait page.wait_for_timeout(20000)"
            ),
        };
        let execution = session.run(language, &code).await.failed(exit_code);
        assert_eq!(execution.stdout, "before\n", "{language}: {signal}");
        assert_eq!(session.run(language, "1 + 1").await.ok().result, "2");
    }
    server.stop().await;
}

#[tokio::test]
async fn code_past_its_timeout_is_killed_with_its_output_and_the_page_lives_on() {
    let (server, sessions) = start().await;
    let site = Site::start().await;
    let url = site.url("/title/survivor");
    for (language, session) in &sessions {
        let node = *language == "node";
        let keep = if node {
            format!("var kept = 1; await page.goto('{url}'); undefined")
        } else {
            format!("kept = 1\nawait page.goto('{url}')\nNone")
        };
        session.run(language, &keep).await.ok();
        let endless = if node {
            [
                "while (true) {}",
                "await new Promise(() => {})",
                "await page.waitForSelector('#never')",
            ]
        } else {
            [
                "while True: pass",
                "import time\ntime.sleep(100)",
                "import asyncio\nawait asyncio.sleep(100)",
            ]
        };
        // The code does not flush its output, and all of it is returned.
        let print = if node {
            "console.log('so far'); console.error('and here'); "
        } else {
            "import sys\nprint('so far')\nprint('and here', file=sys.stderr)\n"
        };
        let look = if node {
            "[typeof kept !== 'undefined', await page.title()]"
        } else {
            "['kept' in globals(), await page.title()]"
        };
        for code in endless {
            let code = format!("{print}{code}");
            let execution = session.run_for(language, &code, 1).await.killed_at(1);
            assert_eq!(
                (execution.stdout.as_str(), execution.stderr.as_str()),
                ("so far\n", "and here\n"),
                "{language}: {code}"
            );
            assert_eq!(
                session.run(language, look).await.ok().json(),
                json!([false, "survivor"]),
                "{language}: {code}"
            );
        }
    }
    server.stop().await;
}

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
async fn output_between_two_calls_is_dropped() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let cases = [
        (
            "node",
            format!(
                "setTimeout(async () => {{ console.log('dropped'); console.error('dropped'); {} }}, 50); 'set'",
                site.node_signal("written-by-node")
            ),
            "console.log('mine')",
        ),
        (
            "python",
            format!(
                "import threading, sys\n\
                 def write():\n    print('dropped', flush=True)\n    print('dropped', file=sys.stderr, flush=True)\n    {}\n\
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
            ("mine\n", ""),
            "{language}"
        );
    }
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
async fn late_exceptions_go_to_stderr_and_do_not_end_the_kernel() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        ("node", "throw new Error('late-throw')", "late-throw"),
        (
            "node",
            "Promise.reject(new Error('late-rejection'))",
            "late-rejection",
        ),
        (
            "node",
            "new (require('node:events'))().emit('error', new Error('late-event'))",
            "late-event",
        ),
        (
            "python",
            "import threading\nthreading.Timer(0.02, lambda: 1 / 0).start()",
            "ZeroDivisionError",
        ),
        (
            "python",
            "asyncio.get_running_loop().call_later(0.02, lambda: {}['late-key'])",
            "late-key",
        ),
        (
            "python",
            "async def fail():\n    raise ValueError('late-task')\nasyncio.create_task(fail())\nNone",
            "late-task",
        ),
    ];
    for (language, statement, part) in cases {
        let code = match language {
            "node" => format!(
                "var kept = 1; setTimeout(() => {{ {statement} }}, 20); await new Promise((done) => setTimeout(done, 300)); 'end'"
            ),
            _ => format!(
                "import asyncio, gc\nkept = 1\n{statement}\nawait asyncio.sleep(0.3)\ngc.collect()\nawait asyncio.sleep(0)\n'end'"
            ),
        };
        let execution = session.run(language, &code).await.ok();
        assert_eq!(execution.result, "end", "{language}: {statement}");
        assert!(
            execution.stderr.contains(part),
            "{language}: {statement}: {}",
            execution.stderr
        );
        assert_eq!(
            session.run(language, "kept").await.ok().result,
            "1",
            "{language}: {statement}"
        );
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

#[tokio::test]
async fn nonsense_on_the_kernels_own_descriptors_fails_at_most_that_call() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        (
            "node",
            "require('node:fs').writeSync(4, Buffer.alloc(64, 255))",
        ),
        (
            "node",
            "require('node:fs').writeSync(4, Buffer.from([0, 0, 0, 5, 1, 2, 3, 4, 5]))",
        ),
        ("node", "require('node:fs').closeSync(4)"),
        (
            "node",
            "require('node:fs').closeSync(3); require('node:fs').closeSync(4)",
        ),
        ("python", "os.write(4, b'\\xff' * 64)"),
        ("python", "os.write(4, b'\\0\\0\\0\\5abcde')"),
        ("python", "os.close(4)"),
        ("python", "os.close(3)\nos.close(4)"),
    ];
    for (language, nonsense) in cases {
        let code = match language {
            "node" => format!("{nonsense}; await new Promise(() => {{}})"),
            _ => format!("import os, asyncio\n{nonsense}\nawait asyncio.sleep(100)"),
        };
        // Any outcome is good that comes as an answer within the timeout.
        let execution = session.run_for(language, &code, 2).await;
        assert!(
            execution.elapsed < Duration::from_secs(3),
            "{language}: {nonsense}: {:?}",
            execution.elapsed
        );
        assert_eq!(
            session.run(language, "'alive'").await.ok().result,
            "alive",
            "{language}: {nonsense}"
        );
    }
    server.stop().await;
}
