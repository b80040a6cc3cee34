//! Exceptions, signals, timeouts, and manipulated kernels.

use std::time::Duration;

use hearth_test_support::{Site, TestServer};
use serde_json::json;

use super::start;

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
            "the stack contains frames of the kernel: {stderr}"
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
        let name = if language == "node" { "Node" } else { "Python" };
        let told = format!("{signal} ended the process: the variables of {name} are lost");
        assert_eq!(execution.stderr, format!("{told}\n"));
        assert_eq!(execution.error(), told);
        let next = session.run(language, "1 + 1").await.ok();
        assert_eq!((next.result.as_str(), next.stderr.as_str()), ("2", ""));
    }
    let crash =
        "import ctypes, sys\nprint('unfinished', end='', file=sys.stderr)\nctypes.string_at(0)";
    let execution = session.python(crash).await.failed(139);
    assert_eq!(
        execution.stderr,
        "unfinished\nSIGSEGV ended the process: the variables of Python are lost\n"
    );
    server.stop().await;
}

#[tokio::test]
async fn stacks_and_messages_contain_nothing_of_the_kernel() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        ("node", "await import('./none.mjs')"),
        (
            "node",
            "const load = () => import('./none.mjs'); await load()",
        ),
        ("node", "import { nothing } from 'node:fs'"),
        ("node", "import nothing from 'nothing'"),
        ("node", "require('./none')"),
        ("node", "import('node:fs').then().nothing()"),
        ("node", "import.meta.nothing()"),
        (
            "node",
            "console.error(new Error('x').stack); throw `${() => import('x')} ${() => import.meta}`",
        ),
        (
            "node",
            "await page.evaluate(async () => { await import('data:text/javascript,throw 5') })",
        ),
        (
            "python",
            "import traceback\ntraceback.print_stack()\nasync def main():\n    1 / 0\nimport asyncio\n\
             try:\n    asyncio.run(main())\nexcept ZeroDivisionError:\n    traceback.print_exc()\nasyncio.run(main())",
        ),
        (
            "python",
            "import threading\nthread = threading.Thread(target=lambda: asyncio.run(main()))\nthread.start()\nthread.join()\n1 / 0",
        ),
        (
            "python",
            "import logging\ntry:\n    asyncio.get_running_loop().run_until_complete(main())\nexcept ZeroDivisionError:\n    \
             logging.exception('logged', stack_info=True)\n    raise",
        ),
        (
            "python",
            "from playwright.sync_api import sync_playwright\nwith sync_playwright() as own:\n    try:\n        \
             own.chromium.launch().new_page().click('#never', timeout=10)\n    except Exception:\n        traceback.print_exc()\n        raise",
        ),
        ("bash", "set -x\nmissing_command\nfalse ("),
    ];
    for (language, code) in cases {
        let execution = session.run(language, code).await;
        assert_ne!(execution.exit_code, 0, "{code}");
        let told = format!("{}{}", execution.stderr, execution.error());
        for internal in ["__hearth", "hearth_kernel", "runtime/node", "hearth.js"] {
            assert!(!told.contains(internal), "{code}: {told}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_function_with_an_import_runs_in_a_page() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let code =
        "const load = async () => (await import('data:text/javascript,export default 5')).default;
        [await load(), await page.evaluate(load), `${load}`.includes('await import(')]";
    let shown = session.node(code).await.ok().json();
    assert_eq!(shown, json!([5, 5, true]));
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
                "await page.waitForSelector('#never', {timeout: 60000})",
            ]
        } else {
            [
                "while True: pass",
                "import time\ntime.sleep(100)",
                "import asyncio\nawait asyncio.sleep(100)",
            ]
        };
        // The response contains all output, although the code does not flush it.
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

/// The response 503 means that nothing was run, and clients repeat the request.
#[tokio::test]
async fn code_cannot_claim_that_it_was_not_started() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let claims = [
        (
            "node",
            "const claim = Buffer.from(JSON.stringify({op: 'failed', id: ID, message: 'no'}));
             const length = Buffer.alloc(4); length.writeUInt32BE(claim.length);
             require('node:fs').writeSync(4, Buffer.concat([length, claim]));",
        ),
        (
            "python",
            "import json, os, struct
claim = json.dumps({'op': 'failed', 'id': ID, 'message': 'no'}).encode()
os.write(4, struct.pack('>I', len(claim)) + claim)",
        ),
    ];
    for (language, claim) in claims {
        // The numbers of a new kernel's runs start at 1.
        let code = format!("{}\n'ran'", claim.replace("ID", "1"));
        let execution = session.run(language, &code).await.ok();
        assert_eq!(execution.result, "ran", "{language}");
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
        // Any response within the timeout is acceptable.
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
