//! Python code: values, exceptions, exits, and a kernel whose event loop continues between calls.

use hearth_test_support::{Site, TestServer};
use serde_json::json;

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
async fn the_published_example_works() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let code = format!(
        "await page.goto(\"{}\")\ntitle = await page.title()\nprint(title)",
        site.url("/title/Example")
    );
    assert_eq!(session.python(&code).await.ok().result, "Example");
    server.stop().await;
}

#[tokio::test]
async fn the_file_of_the_code_is_a_name_in_the_working_dir() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let code = "from pathlib import Path\n\
                def f(): return Path(__file__)\n[f().parent == Path.cwd(), f().name, f().exists()]";
    let execution = session.python(code).await.ok();
    assert_eq!(execution.json(), json!([true, "execute.py", false]));
    // Processes that import the module of the code find no such file.
    let spawn = "import multiprocessing, os\n\
                 child = multiprocessing.get_context('spawn').Process(target=os.getpid)\n\
                 child.start()\nchild.join()\nchild.exitcode";
    let execution = session.python(spawn).await.ok();
    assert_eq!(execution.result, "0", "{execution:?}");
    server.stop().await;
}

#[tokio::test]
async fn output_of_a_child_is_output_of_the_call() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let execution = session
        .python("import os\nos.system('echo child')\nNone")
        .await
        .ok();
    assert_eq!(execution.stdout, "child\n");
    server.stop().await;
}

#[tokio::test]
async fn a_traceback_shows_the_line_of_the_source() {
    let server = TestServer::start().await;
    let session = server.session().await;
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
async fn exit_in_a_callback_does_not_end_the_kernel() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session
        .python("import asyncio\nasyncio.get_running_loop().call_soon(exit)\nawait asyncio.sleep(0.1)\nNone")
        .await;
    assert_eq!(session.python("1 + 1").await.ok().result, "2");
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
async fn functions_of_atexit_run_when_sys_exit_ends_a_call() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let code = "import atexit, asyncio, sys\n@atexit.register\ndef report():\n    print('last')\n\
                atexit.register(print, 'first', end='!\\n')\natexit.register(len)\natexit.unregister(len)\n";
    let execution = session
        .python(&format!("{code}sys.exit(3)"))
        .await
        .failed(3);
    let told = (execution.stdout.as_str(), execution.stderr.as_str());
    assert_eq!(told, ("first!\nlast\n", ""));
    // They run once, and not after a call that ends in another way.
    assert_eq!(session.python("sys.exit()").await.ok().stdout, "");
    assert_eq!(session.python(code).await.ok().stdout, "");
    session.python("1 / 0").await.failed(1);
    let leave = "async def leave():\n    sys.exit()\nt = asyncio.create_task(leave())\nawait asyncio.sleep(60)";
    let execution = session.python(leave).await.ok();
    assert_eq!(execution.stdout, "first!\nlast\n");
    // A function that fails or exits does not change the exit code.
    let failing = "atexit.register(print, 'still')\natexit.register(sys.exit, 9)\natexit.register(lambda: 1 / 0)\nsys.exit(4)";
    let execution = session.python(failing).await.failed(4);
    assert_eq!(execution.stdout, "still\n");
    assert!(
        execution.stderr.contains("ZeroDivisionError"),
        "{execution:?}"
    );
    // Functions that libraries register wait for the end of the process.
    let library = "import types\nlibrary = types.ModuleType('library')\n\
                   exec('import atexit\\natexit.register(print, 1)', library.__dict__)\nsys.exit()";
    assert_eq!(session.python(library).await.ok().stdout, "");
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
    // Comprehensions and nested functions can use the globals too.
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
async fn a_package_is_installed_into_the_session_and_only_there() {
    let server = TestServer::start().await;
    let (session, other) = (server.session().await, server.session().await);
    // The kernel starts before the package is installed, and can still import it.
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

/// A Python program that writes a wheel with one module into the working dir.
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
