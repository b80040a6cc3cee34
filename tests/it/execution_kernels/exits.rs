//! Code that exits: its own exit ends the call and keeps the variables, and the exit of code from
//! an earlier call ends nothing.

use hearth_test_support::TestServer;

use super::start;

#[tokio::test]
async fn an_exit_ends_the_call_with_its_code_and_keeps_the_variables() {
    let (server, sessions) = start().await;
    let cases = [
        ("node", "kept = 1; process.exit(0)", 0),
        ("node", "kept = 2; process.exit(7)", 7),
        (
            "node",
            "kept = 3; try { process.exit(4) } catch (error) { console.log(error) }",
            4,
        ),
        (
            "node",
            "kept = 4; main().then(() => process.exit(0)).catch((error) => { console.error(error); process.exit(1) });\nasync function main() {}",
            0,
        ),
        (
            "node",
            "kept = 5; fail().catch((error) => { process.exitCode = 3 });\nasync function fail() { throw new Error('x') }",
            3,
        ),
        ("node", "kept = 6; process.exitCode = 5; process.exit()", 5),
        ("python", "kept = 1\nimport sys\nsys.exit()", 0),
        ("python", "kept = 2\nexit(0)", 0),
        ("python", "kept = 3\nraise SystemExit(300)", 44),
        (
            "python",
            "import asyncio, sys\nkept = 4\nasync def main():\n    sys.exit(6)\nasyncio.run(main())",
            6,
        ),
        ("python", "kept = 5\nawait asyncio.create_task(main())", 6),
        (
            "python",
            "kept = 6\ntry:\n    sys.exit(8)\nfinally:\n    pass",
            8,
        ),
    ];
    for (index, (language, code, exit_code)) in cases.iter().enumerate() {
        let session = &sessions[usize::from(*language == "python")].1;
        let execution = session.run(language, code).await;
        assert_eq!(
            (
                execution.exit_code,
                execution.stdout.as_str(),
                execution.stderr.as_str()
            ),
            (*exit_code, "", ""),
            "{language}: {code}"
        );
        let kept = session.run(language, "kept").await.ok().result;
        assert_eq!(kept, (index % 6 + 1).to_string(), "{language}: {code}");
    }
    let execution = sessions[1]
        .1
        .python("sys.exit('the reason')")
        .await
        .failed(1);
    assert_eq!(execution.error(), "the reason");
    server.stop().await;
}

#[tokio::test]
async fn sys_exit_in_a_task_or_a_listener_of_the_call_ends_it() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let worker = "import asyncio, sys\nasync def worker():\n    await asyncio.sleep(0.01)\n    sys.exit(5)\n";
    session.python(worker).await.ok();
    let cases = [
        "t = asyncio.create_task(worker())\nawait asyncio.sleep(60)",
        "await asyncio.gather(worker(), asyncio.sleep(60))",
        "async def main():\n    t = asyncio.create_task(worker())\n    await asyncio.sleep(60)\nasyncio.run(main())",
        "import time\nasyncio.get_running_loop().call_soon(sys.exit, 5)\nawait asyncio.sleep(60)",
        "t = asyncio.create_task(worker())\ntry:\n    await asyncio.sleep(60)\nexcept asyncio.CancelledError:\n    pass\n'swallowed'",
        "tab = await context.new_page()\ntab.on('console', lambda message: sys.exit(5))\n\
         await tab.evaluate('console.log(1)')\nawait asyncio.sleep(60)",
        "tab = await context.new_page()\ntab.once('console', lambda message: sys.exit(5))\n\
         await tab.evaluate('console.log(1)')\nawait asyncio.sleep(60)",
        "async def leave(message):\n    await worker()\ntab = await context.new_page()\ntab.on('console', leave)\n\
         await tab.evaluate('console.log(1)')\nawait asyncio.sleep(60)",
        "from playwright.sync_api import sync_playwright\nwith sync_playwright() as own:\n    \
         other = own.chromium.launch().new_page()\n    other.on('console', lambda message: sys.exit(5))\n    \
         other.evaluate('console.log(1)')\n    other.wait_for_timeout(60000)",
    ];
    for code in cases {
        let code = format!("page.set_default_timeout(10000)\n{code}");
        let execution = session.python(&code).await.failed(5);
        let told = (execution.stdout.as_str(), execution.stderr.as_str());
        assert_eq!(told, ("", ""), "{code}");
        // The connection to the browser and the variables remain.
        let next = "[await page.title(), worker.__name__, await tab.title() if 'tab' in globals() else '']";
        let next = session.python(next).await.ok();
        assert_eq!(next.result, "[\"\",\"worker\",\"\"]", "{code}");
        assert_eq!(next.stderr, "", "{code}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_exit_that_has_to_end_the_process_says_that_variables_are_lost() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        (
            "node",
            "kept = 1; setTimeout(() => process.exit(4), 20); await new Promise(() => {})",
            4,
        ),
        (
            "node",
            "kept = 1; process.on('uncaughtException', () => process.exit(9)); setTimeout(() => { throw 1 }); await new Promise(() => {})",
            9,
        ),
        (
            "node",
            "kept = 1; process.on('unhandledRejection', () => process.exit(9)); Promise.reject(1); await new Promise(() => {})",
            9,
        ),
        ("python", "kept = 1\nimport os\nos._exit(0)", 0),
        ("python", "kept = 1\nimport os\nos._exit(3)", 3),
        // The code has not ended, so a thread cannot end it with success.
        (
            "python",
            "import os, threading, time\nthreading.Timer(0.02, lambda: os._exit(0)).start()\ntime.sleep(60)",
            1,
        ),
        ("node", "process.reallyExit(0)", 1),
    ];
    for (language, code, exit_code) in cases {
        let execution = session.run(language, code).await;
        assert_eq!(execution.exit_code, exit_code, "{language}: {code}");
        let told = format!(
            "{}{}",
            execution.stderr,
            execution.error.unwrap_or_default()
        );
        assert!(told.contains("ariables"), "{language}: {code}: {told}");
        // The next call runs in another process, however long the exit takes.
        let next = match language {
            "node" => "await new Promise((done) => setTimeout(done, 300)); typeof kept",
            _ => "import time\ntime.sleep(0.3)\n'undefined' if 'kept' not in globals() else 'kept'",
        };
        let next = session.run(language, next).await.ok();
        // The loss is reported once.
        assert_eq!(
            (next.result.as_str(), next.stderr.as_str()),
            ("undefined", ""),
            "{language}: {code}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn an_exit_of_an_earlier_call_does_not_end_a_later_one() {
    let (server, sessions) = start().await;
    let cases = [
        (
            "node",
            "var kept = 1; const timer = setInterval(() => { if (globalThis.go) { clearInterval(timer); process.exit(0) } }, 5); 0",
            "globalThis.go = true; await new Promise((done) => setTimeout(done, 200)); 'finished'",
        ),
        (
            "node",
            "page.on('console', () => process.exit(0)); 0",
            "await page.evaluate(() => console.log('x')); await new Promise((done) => setTimeout(done, 200)); 'finished'",
        ),
        (
            "python",
            "import asyncio, os, sys, threading, time\nkept = 1\ngo = threading.Event()\n\
             def leave():\n    go.wait()\n    os._exit(0)\nthreading.Thread(target=leave, daemon=True).start()",
            "go.set()\ntime.sleep(0.2)\n'finished'",
        ),
        (
            "python",
            "begin = asyncio.Event()\nasync def later():\n    await begin.wait()\n    sys.exit(0)\nlate = asyncio.create_task(later())",
            "begin.set()\nawait asyncio.sleep(0.2)\n'finished'",
        ),
        (
            "python",
            "page.on('console', lambda message: sys.exit(0))",
            "await page.evaluate('console.log(1)')\nawait asyncio.sleep(0.2)\n'finished'",
        ),
        (
            "python",
            "await page.route('**/never', lambda route: sys.exit(0))",
            "await page.evaluate(\"fetch('http://site.test/never'); 0\")\nawait asyncio.sleep(0.3)\n'finished'",
        ),
    ];
    for (language, leave, go) in cases {
        let session = &sessions[usize::from(language == "python")].1;
        session.run(language, leave).await.ok();
        let execution = session.run(language, go).await.ok();
        assert_eq!(execution.result, "finished", "{language}: {leave}");
        assert!(
            execution.stderr.contains("was ignored"),
            "{language}: {leave}: {}",
            execution.stderr
        );
        assert_eq!(session.run(language, "kept").await.ok().result, "1");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_kernel_that_exits_before_the_next_call_starts_does_not_answer_it() {
    let server = TestServer::start().await;
    let session = server.session().await;
    for language in ["node", "python"] {
        let code = match language {
            "node" => "setTimeout(() => process.reallyExit(0), 1); 0",
            _ => {
                "import ctypes, threading\nthreading.Timer(0.001, lambda: ctypes.CDLL(None)._exit(0)).start()"
            }
        };
        for _ in 0..5 {
            session.run(language, code).await;
            // Either the kernel was replaced in time, or the code started and then failed.
            let next = session.run(language, "'next'").await;
            assert!(
                next.result == "next" || next.exit_code != 0,
                "{language}: an empty success: {next:?}"
            );
        }
    }
    server.stop().await;
}
