//! Python code: values, exceptions, exits, and a kernel whose event loop goes on between calls.

use std::time::Duration;

use hearth_test_support::{Site, TestServer};
use serde_json::json;

#[tokio::test]
async fn the_value_of_the_last_expression_is_the_result() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        ("1 + 1", "2"),
        ("'text'", "text"),
        ("'two\\nlines\\n'", "two\nlines\n"),
        ("''", ""),
        ("True", "true"),
        ("0.5", "0.5"),
        (
            "import asyncio\nawait asyncio.sleep(0, 'awaited')",
            "awaited",
        ),
        ("x = 4\nx * 2", "8"),
        ("{'a': 1}['a']  # a comment", "1"),
        // What JSON cannot say is shown as python shows it.
        ("float('nan')", "nan"),
        ("b'bytes'", "b'bytes'"),
        ("1 + 2j", "(1+2j)"),
        ("{1}", "{1}"),
        ("circle = [1]\ncircle.append(circle)\ncircle", "[1, [...]]"),
        ("ValueError('as a value')", "ValueError('as a value')"),
        ("range(3)", "range(0, 3)"),
    ];
    for (code, expected) in cases {
        let execution = session.python(code).await.ok();
        assert_eq!(
            (execution.result.as_str(), execution.stdout.as_str()),
            (expected, ""),
            "{code}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn dictionaries_and_lists_are_shown_as_json() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        (
            "{'title': 'ü', 'tags': ['a', None], 'deep': {'n': 1.5}}",
            json!({"title": "ü", "tags": ["a", null], "deep": {"n": 1.5}}),
        ),
        ("[1, 'two', [3]]", json!([1, "two", [3]])),
        (
            "await page.evaluate('() => ({width: 3, list: [1]})')",
            json!({"width": 3, "list": [1]}),
        ),
    ];
    for (code, expected) in cases {
        assert_eq!(session.python(code).await.ok().json(), expected, "{code}");
    }
    server.stop().await;
}

#[tokio::test]
async fn values_that_only_look_like_data_are_shown_as_what_they_are() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        ("page", "<Page url='about:blank'>"),
        ("page.locator('h1')", "<Locator "),
        ("def f(): pass\nf", "<function f at "),
        ("object()", "<object object at "),
        ("import json\njson", "<module 'json'"),
    ];
    for (code, start) in cases {
        let execution = session.python(code).await.ok();
        assert!(
            execution.result.starts_with(start),
            "{code}: {}",
            execution.result
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn without_a_value_the_result_is_stdout_less_its_last_newline() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let cases = [
        ("print('a')\nprint('b')", "a\nb\n", "a\nb"),
        ("print('a')\nNone", "a\n", "a"),
        ("y = 1", "", ""),
        ("print('no newline', end='')", "no newline", "no newline"),
        ("# nothing", "", ""),
    ];
    for (code, stdout, result) in cases {
        let execution = session.python(code).await.ok();
        assert_eq!(
            (execution.stdout.as_str(), execution.result.as_str()),
            (stdout, result),
            "{code}"
        );
    }
    // The published example.
    let code = format!(
        "await page.goto(\"{}\")\ntitle = await page.title()\nprint(title)",
        site.url("/title/Example")
    );
    assert_eq!(session.python(&code).await.ok().result, "Example");
    server.stop().await;
}

#[tokio::test]
async fn stdout_and_stderr_are_kept_apart() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let execution = session
        .python("import sys\nprint('out')\nprint('err', file=sys.stderr)")
        .await
        .ok();
    assert_eq!(
        (execution.stdout.as_str(), execution.stderr.as_str()),
        ("out\n", "err\n")
    );
    let from_child = session
        .python("import os\nos.system('echo child')\nNone")
        .await
        .ok();
    assert_eq!(from_child.stdout, "child\n");
    server.stop().await;
}

#[tokio::test]
async fn an_exception_is_named_in_the_error_and_its_traceback_is_on_stderr() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        (
            "print('before')\nraise ValueError('bad thing')",
            "ValueError: bad thing",
        ),
        (
            "print('before')\ndef f():\n    return 1 / 0\nf()",
            "ZeroDivisionError: division by zero",
        ),
        (
            "print('before')\nmissing",
            "NameError: name 'missing' is not defined",
        ),
        (
            "print('before')\nclass Mine(Exception): pass\nraise Mine('own')",
            "Mine: own",
        ),
        (
            "print('before')\nraise KeyboardInterrupt('x')",
            "KeyboardInterrupt: x",
        ),
    ];
    for (code, error) in cases {
        let execution = session.python(code).await.failed(1);
        assert_eq!(execution.error(), error, "{code}");
        assert_eq!(execution.stdout, "before\n", "{code}");
        let name = error.split(':').next().unwrap_or_default();
        assert!(
            execution
                .stderr
                .starts_with("Traceback (most recent call last):"),
            "{code}: {}",
            execution.stderr
        );
        assert!(
            execution.stderr.contains(name),
            "{code}: {}",
            execution.stderr
        );
    }
    // The traceback shows the line of the source.
    let execution = session
        .python("def f():\n    return 1 / 0  # here\nf()")
        .await
        .failed(1);
    assert!(
        execution.stderr.contains("return 1 / 0  # here"),
        "{}",
        execution.stderr
    );
    server.stop().await;
}

#[tokio::test]
async fn code_that_is_no_python_fails_with_a_syntax_error() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let execution = session.python("print('never')\nx = = 5").await.failed(1);
    assert!(
        execution.error().starts_with("SyntaxError: "),
        "{}",
        execution.error()
    );
    assert_eq!(execution.stdout, "");
    server.stop().await;
}

#[tokio::test]
async fn a_playwright_timeout_is_told_in_playwrights_words() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let execution = session
        .python(&format!(
            "await page.goto('{}', timeout=300)",
            site.url("/hang")
        ))
        .await
        .failed(1);
    assert!(
        execution
            .error()
            .starts_with("TimeoutError: Page.goto: Timeout 300ms exceeded."),
        "{}",
        execution.error()
    );
    server.stop().await;
}

#[tokio::test]
async fn sys_exit_is_the_exit_code() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let execution = session
        .python("import sys\nprint('x')\nsys.exit(7)")
        .await
        .failed(7);
    assert_eq!(
        (execution.stdout.as_str(), execution.error()),
        ("x\n", "Execution failed")
    );
    let execution = session
        .python("import sys\nsys.exit('the reason')")
        .await
        .failed(1);
    assert_eq!(
        (execution.stderr.as_str(), execution.error()),
        ("the reason\n", "the reason")
    );
    session.python("import sys\nsys.exit()").await.ok();
    session.python("exit(0)").await.ok();
    session.python("import os\nos._exit(3)").await.failed(3);
    assert_eq!(session.python("1 + 1").await.ok().result, "2");
    server.stop().await;
}

#[tokio::test]
async fn a_signal_that_ends_the_kernel_is_128_and_its_number() {
    let server = TestServer::start().await;
    let session = server.session().await;
    for (signal, exit_code) in [("SIGKILL", 137), ("SIGTERM", 143), ("SIGSEGV", 139)] {
        let code = format!(
            "import os, signal\nprint('before', flush=True)\nos.kill(os.getpid(), signal.{signal})\nawait page.wait_for_timeout(20000)"
        );
        let execution = session.python(&code).await.failed(exit_code);
        assert_eq!(execution.stdout, "before\n", "{signal}");
    }
    assert_eq!(session.python("1 + 1").await.ok().result, "2");
    server.stop().await;
}

#[tokio::test]
async fn code_past_its_timeout_is_killed_with_its_output_and_the_page_lives_on() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session
        .python(&format!(
            "kept = 1\nawait page.goto('{}')\nNone",
            site.url("/title/survivor")
        ))
        .await
        .ok();
    let endless = [
        "while True: pass",
        "import time\ntime.sleep(100)",
        "import asyncio\nawait asyncio.sleep(100)",
    ];
    for code in endless {
        // Not flushed by the code: what was printed is there all the same.
        let code =
            format!("import sys\nprint('so far')\nprint('and here', file=sys.stderr)\n{code}");
        let execution = session.run_for("python", &code, 1).await.killed_at(1);
        assert_eq!(
            (execution.stdout.as_str(), execution.stderr.as_str()),
            ("so far\n", "and here\n"),
            "{code}"
        );
        let code = "['kept' in globals(), await page.title()]";
        assert_eq!(
            session.python(code).await.ok().json(),
            json!([false, "survivor"])
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn variables_functions_and_imports_persist_between_calls() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session
        .python("import json as j\na = 1\ndef f():\n    return a + 1\nclass K:\n    x = 9")
        .await
        .ok();
    session
        .python("raise ValueError('in between')")
        .await
        .failed(1);
    assert_eq!(
        session
            .python("a = 10\n[f(), K.x, j.loads('[5]')[0]]")
            .await
            .ok()
            .json(),
        json!([11, 9, 5])
    );
    // Comprehensions and nested functions see the globals too.
    assert_eq!(
        session.python("[a for _ in range(2)]").await.ok().json(),
        json!([10, 10])
    );
    server.stop().await;
}

#[tokio::test]
async fn the_globals_are_playwrights_async_objects() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let code = format!(
        "import inspect\nawait page.goto('{}')\n\
         [inspect.iscoroutinefunction(page.title), browser.is_connected(), context == page.context, len(context.pages), \
         browser.contexts[0] == context]",
        site.url("/title/x")
    );
    assert_eq!(
        session.python(&code).await.ok().json(),
        json!([true, true, true, 1, true])
    );
    server.stop().await;
}

#[tokio::test]
async fn a_page_that_a_call_assigns_is_the_page_of_the_next_until_it_is_closed() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session
        .python(&format!(
            "await page.goto('{}')\nNone",
            site.url("/title/first")
        ))
        .await
        .ok();
    let code = format!(
        "page = await context.new_page()\nawait page.goto('{}')\nNone",
        site.url("/title/second")
    );
    session.python(&code).await.ok();
    assert_eq!(
        session.python("await page.title()").await.ok().result,
        "second"
    );
    session.python("await page.close()").await.ok();
    assert_eq!(
        session
            .python("[page.is_closed(), await page.title()]")
            .await
            .ok()
            .json(),
        json!([false, "first"])
    );
    session.python("del page").await.ok();
    assert_eq!(
        session.python("await page.title()").await.ok().result,
        "first"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_closed_browser_is_connected_again_before_the_next_call() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session
        .python(&format!(
            "kept = 1\nawait page.goto('{}')\nNone",
            site.url("/title/still-here")
        ))
        .await
        .ok();
    session.python("await browser.close()").await.ok();
    let code =
        "[browser.is_connected(), len(context.pages), page.is_closed(), await page.title(), kept]";
    assert_eq!(
        session.python(code).await.ok().json(),
        json!([true, 1, false, "still-here", 1])
    );
    server.stop().await;
}

#[tokio::test]
async fn when_the_last_tab_was_closed_a_new_one_is_opened() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session
        .python("for tab in context.pages:\n    await tab.close()")
        .await
        .ok();
    let code = format!(
        "await page.goto('{}')\n[len(context.pages), await page.title()]",
        site.url("/title/new")
    );
    assert_eq!(session.python(&code).await.ok().json(), json!([1, "new"]));
    server.stop().await;
}

#[tokio::test]
async fn the_event_loop_goes_on_between_calls() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let code = format!(
        "import asyncio\n\
         async def later():\n    await asyncio.sleep(0.1)\n    global done\n    done = await page.evaluate('6 * 7')\n    \
         await asyncio.to_thread(lambda: {})\n\
         task = asyncio.create_task(later())\nNone",
        site.python_signal("done")
    );
    session.python(&code).await.ok();
    site.signalled("done").await;
    assert_eq!(session.python("done").await.ok().result, "42");
    server.stop().await;
}

#[tokio::test]
async fn output_of_a_forgotten_thread_is_dropped_between_calls() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let code = format!(
        "import threading, sys\n\
         def write():\n    print('dropped', flush=True)\n    print('dropped', file=sys.stderr, flush=True)\n    {}\n\
         threading.Timer(0.05, write).start()\n'set'",
        site.python_signal("written")
    );
    assert_eq!(session.python(&code).await.ok().result, "set");
    site.signalled("written").await;
    let next = session.python("print('mine')").await.ok();
    assert_eq!((next.stdout.as_str(), next.stderr.as_str()), ("mine\n", ""));
    server.stop().await;
}

#[tokio::test]
async fn output_of_a_forgotten_thread_belongs_to_the_call_that_it_falls_into() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let code = "import threading, asyncio\ngo = threading.Event()\nwritten = threading.Event()\n\
                def write():\n    go.wait()\n    print('late')\n    written.set()\n\
                threading.Thread(target=write, daemon=True).start()";
    session.python(code).await.ok();
    let code = "go.set()\nawait asyncio.to_thread(written.wait)\nprint('own')";
    assert_eq!(session.python(code).await.ok().stdout, "late\nown\n");
    server.stop().await;
}

#[tokio::test]
async fn late_exceptions_go_to_stderr_and_do_not_end_the_kernel() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        (
            "import threading\nthreading.Timer(0.02, lambda: 1 / 0).start()",
            "ZeroDivisionError",
        ),
        (
            "asyncio.get_running_loop().call_later(0.02, lambda: {}['late-key'])",
            "late-key",
        ),
        (
            "async def fail():\n    raise ValueError('late-task')\nasyncio.create_task(fail())\nNone",
            "late-task",
        ),
    ];
    for (statement, part) in cases {
        let code = format!(
            "import asyncio, gc\nkept = 1\n{statement}\nawait asyncio.sleep(0.3)\ngc.collect()\nawait asyncio.sleep(0)\n'end'"
        );
        let execution = session.python(&code).await.ok();
        assert_eq!(execution.result, "end", "{statement}");
        assert!(
            execution.stderr.contains(part),
            "{statement}: {}",
            execution.stderr
        );
        assert_eq!(session.python("kept").await.ok().result, "1", "{statement}");
    }
    // sys.exit in a thread or a callback is as late as any other exception.
    session
        .python("asyncio.get_running_loop().call_soon(exit)\nawait asyncio.sleep(0.1)\nNone")
        .await;
    assert_eq!(session.python("1 + 1").await.ok().result, "2");
    server.stop().await;
}

#[tokio::test]
async fn a_child_that_keeps_stdout_open_does_not_hold_the_answer() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.python("0").await.ok();
    let execution = session
        .python("import subprocess\nchild = subprocess.Popen(['sleep', '300'])\n'answered'")
        .await
        .ok();
    assert_eq!(execution.result, "answered");
    assert!(
        execution.elapsed < Duration::from_secs(2),
        "answered after {:?}",
        execution.elapsed
    );
    server.stop().await;
}

#[tokio::test]
async fn nonsense_on_the_kernels_own_descriptors_fails_at_most_that_call() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let nonsense = [
        "os.write(4, b'\\xff' * 64)",
        "os.write(4, b'\\0\\0\\0\\5abcde')",
        "os.close(4)",
        "os.close(3)\nos.close(4)",
    ];
    for code in nonsense {
        let code = format!("import os, asyncio\n{code}\nawait asyncio.sleep(100)");
        let execution = session.run_for("python", &code, 2).await;
        assert!(
            execution.elapsed < Duration::from_secs(3),
            "{code}: {:?}",
            execution.elapsed
        );
        assert_eq!(
            session.python("'alive'").await.ok().result,
            "alive",
            "{code}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_package_is_installed_into_the_session_and_only_there() {
    let server = TestServer::start().await;
    let (session, other) = (server.session().await, server.session().await);
    // The kernel is running before the package comes, and finds it all the same.
    session.python("0").await.ok();
    session
        .bash(&format!(
            "python3 - <<'EOF'\n{MAKE_WHEEL}\nEOF\npip install --no-index ./hearth_probe-1.0-py3-none-any.whl"
        ))
        .await
        .ok();
    assert_eq!(
        session
            .python("import hearth_probe\nhearth_probe.ANSWER")
            .await
            .ok()
            .result,
        "42"
    );
    assert_eq!(
        session
            .bash("python3 -c 'import hearth_probe; print(hearth_probe.ANSWER)'")
            .await
            .ok()
            .result,
        "42"
    );
    let newer = MAKE_WHEEL
        .replace("1.0", "2.0")
        .replace("Wheel-Version: 2.0", "Wheel-Version: 1.0")
        .replace("42", "43");
    let install = format!(
        "python3 - <<'EOF'\n{newer}\nEOF\npip install --no-index ./hearth_probe-2.0-py3-none-any.whl"
    );
    session.bash(&install).await.ok();
    assert_eq!(
        session
            .bash("python3 -c 'import hearth_probe; print(hearth_probe.ANSWER)'")
            .await
            .ok()
            .result,
        "43"
    );
    let execution = other.python("import hearth_probe").await.failed(1);
    assert_eq!(
        execution.error(),
        "ModuleNotFoundError: No module named 'hearth_probe'"
    );
    session.delete().await;
    let later = server.session().await;
    later.python("import hearth_probe").await.failed(1);
    server.stop().await;
}

/// Writes a wheel with one module into the working directory.
const MAKE_WHEEL: &str = r#"
import zipfile
info = "hearth_probe-1.0.dist-info"
files = {
    "hearth_probe/__init__.py": "ANSWER = 42\n",
    f"{info}/METADATA": "Metadata-Version: 2.1\nName: hearth-probe\nVersion: 1.0\n",
    f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
with zipfile.ZipFile("hearth_probe-1.0-py3-none-any.whl", "w") as wheel:
    for name, text in {**files, f"{info}/RECORD": record}.items():
        wheel.writestr(name, text)
"#;
