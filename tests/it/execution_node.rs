//! Node code: values, exceptions, exits, and a kernel that lives as long as the session.

use std::time::Duration;

use hearth_test_support::{GREETING, Site, TestServer};
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
        ("true", "true"),
        ("null", "null"),
        ("0.5", "0.5"),
        ("await Promise.resolve('awaited')", "awaited"),
        ("const x = 4; x * 2", "8"),
        ("({a: 1}).a // a comment", "1"),
        // What JSON cannot say is shown as node shows it.
        ("10n", "10n"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("Symbol('s')", "Symbol(s)"),
        ("new Map([[1, 2]])", "Map(1) { 1 => 2 }"),
        ("new Set(['a'])", "Set(1) { 'a' }"),
        ("/re/g", "/re/g"),
        ("(function name() {})", "[Function: name]"),
        (
            "const circle = {a: 1}; circle.self = circle; circle",
            "<ref *1> { a: 1, self: [Circular *1] }",
        ),
    ];
    for (code, expected) in cases {
        let execution = session.node(code).await.ok();
        assert_eq!(
            (execution.result.as_str(), execution.stdout.as_str()),
            (expected, ""),
            "{code}"
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
            "({title: 'x', tags: ['a', null], deep: {n: 1.5}})",
            json!({"title": "x", "tags": ["a", null], "deep": {"n": 1.5}}),
        ),
        ("[1, 'two', [3]]", json!([1, "two", [3]])),
        ("[]", json!([])),
        (
            "await page.evaluate(() => ({width: 3, list: [1]}))",
            json!({"width": 3, "list": [1]}),
        ),
    ];
    for (code, expected) in cases {
        assert_eq!(session.node(code).await.ok().json(), expected, "{code}");
    }
    server.stop().await;
}

#[tokio::test]
async fn values_that_only_look_like_data_are_shown_as_what_they_are() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        ("page", "Page"),
        ("browser", "Browser"),
        ("context", "BrowserContext"),
        ("page.locator('h1')", "h1"),
        ("new Error('as a value')", "Error: as a value"),
        ("await page.evaluateHandle(() => window)", "Window"),
    ];
    for (code, part) in cases {
        let execution = session.node(code).await.ok();
        assert!(
            execution.result.contains(part),
            "{code}: {}",
            execution.result
        );
        assert!(
            serde_json::from_str::<serde_json::Value>(&execution.result).is_err(),
            "{code}: {}",
            execution.result
        );
        assert!(
            execution.result.len() < 20_000,
            "{code} is shown on {} bytes",
            execution.result.len()
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn without_a_value_the_result_is_stdout_less_its_last_newline() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        ("console.log('a'); console.log('b')", "a\nb\n", "a\nb"),
        ("console.log('a'); undefined", "a\n", "a"),
        ("const y = 1", "", ""),
        (
            "process.stdout.write('no newline'); void 0",
            "no newline",
            "no newline",
        ),
        ("// nothing", "", ""),
    ];
    for (code, stdout, result) in cases {
        let execution = session.node(code).await.ok();
        assert_eq!(
            (execution.stdout.as_str(), execution.result.as_str()),
            (stdout, result),
            "{code}"
        );
    }
    let both = session.node("console.log('printed'); 5").await.ok();
    assert_eq!(
        (both.stdout.as_str(), both.result.as_str()),
        ("printed\n", "5")
    );
    server.stop().await;
}

#[tokio::test]
async fn stdout_and_stderr_are_kept_apart() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let execution = session
        .node("console.log('out'); console.error('err'); undefined")
        .await
        .ok();
    assert_eq!(
        (execution.stdout.as_str(), execution.stderr.as_str()),
        ("out\n", "err\n")
    );
    server.stop().await;
}

#[tokio::test]
async fn an_exception_is_named_in_the_error_and_its_stack_is_on_stderr() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        (
            "console.log('before'); throw new TypeError('bad thing')",
            "TypeError: bad thing",
        ),
        (
            "console.log('before'); function f() { null.x }; f()",
            "TypeError: Cannot read properties of null (reading 'x')",
        ),
        (
            "console.log('before'); await Promise.reject(new RangeError('late'))",
            "RangeError: late",
        ),
        (
            "console.log('before'); missing",
            "ReferenceError: missing is not defined",
        ),
        (
            "console.log('before'); class Mine extends Error { name = 'Mine' }; throw new Mine('own')",
            "Mine: own",
        ),
    ];
    for (code, error) in cases {
        let execution = session.node(code).await.failed(1);
        assert_eq!(execution.error(), error, "{code}");
        assert!(
            execution.stderr.contains(error),
            "{code}: {}",
            execution.stderr
        );
        assert_eq!(execution.stdout, "before\n", "{code}");
        assert!(
            !execution.stderr.contains("node:inspector"),
            "the kernel's own frames show: {}",
            execution.stderr
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn code_that_is_no_javascript_fails_with_a_syntax_error() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let execution = session
        .node("console.log('never'); let = = 5")
        .await
        .failed(1);
    assert!(
        execution.error().starts_with("SyntaxError: "),
        "{}",
        execution.error()
    );
    assert_eq!(execution.stdout, "");
    server.stop().await;
}

#[tokio::test]
async fn a_thrown_value_that_is_no_error_is_shown() {
    let server = TestServer::start().await;
    let session = server.session().await;
    for (code, part) in [
        ("throw 'a text'", "a text"),
        ("throw {code: 5}", "5"),
        ("throw undefined", "undefined"),
    ] {
        let execution = session.node(code).await.failed(1);
        assert!(
            execution.error().contains(part),
            "{code}: {}",
            execution.error()
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_playwright_timeout_is_told_in_playwrights_words() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let code = format!("await page.goto('{}', {{timeout: 300}})", site.url("/hang"));
    let execution = session.node(&code).await.failed(1);
    assert!(
        execution
            .error()
            .starts_with("TimeoutError: page.goto: Timeout 300ms exceeded."),
        "{}",
        execution.error()
    );
    server.stop().await;
}

#[tokio::test]
async fn an_exception_does_not_end_the_kernel() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.node("let kept = 'kept'").await.ok();
    session.node("throw new Error('x')").await.failed(1);
    assert_eq!(session.node("kept").await.ok().result, "kept");
    server.stop().await;
}

#[tokio::test]
async fn process_exit_is_the_exit_code_and_the_next_call_has_a_new_kernel() {
    let server = TestServer::start().await;
    let session = server.session().await;
    for (code, exit_code) in [
        ("process.exit(7)", 7),
        ("console.log('x'); process.exit(1)", 1),
    ] {
        session.node("var kept = 1").await.ok();
        let execution = session.node(code).await.failed(exit_code);
        assert_eq!(execution.error(), "Execution failed", "{code}");
        assert_eq!(session.node("typeof kept").await.ok().result, "undefined");
    }
    let execution = session
        .node("console.log('all done'); process.exit(0)")
        .await
        .ok();
    assert_eq!(
        (execution.stdout.as_str(), execution.result.as_str()),
        ("all done\n", "all done")
    );
    let execution = session
        .node("process.exitCode = 5; console.error('why'); process.exit()")
        .await
        .failed(5);
    assert_eq!(execution.error(), "why");
    server.stop().await;
}

#[tokio::test]
async fn a_signal_that_ends_the_kernel_is_128_and_its_number() {
    let server = TestServer::start().await;
    let session = server.session().await;
    for (signal, exit_code) in [("SIGKILL", 137), ("SIGTERM", 143), ("SIGABRT", 134)] {
        let code = format!(
            "console.log('before'); process.kill(process.pid, '{signal}'); await new Promise(() => {{}})"
        );
        let execution = session.node(&code).await.failed(exit_code);
        assert_eq!(execution.stdout, "before\n", "{signal}");
    }
    assert_eq!(session.node("1 + 1").await.ok().result, "2");
    server.stop().await;
}

#[tokio::test]
async fn code_past_its_timeout_is_killed_with_its_output_and_the_page_lives_on() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session
        .node(&format!(
            "var kept = 1; await page.goto('{}'); undefined",
            site.url("/title/survivor")
        ))
        .await
        .ok();
    for code in [
        "while (true) {}",
        "await new Promise(() => {})",
        "await page.waitForSelector('#never')",
    ] {
        let code = format!("console.log('so far'); console.error('and here'); {code}");
        let execution = session.run_for("node", &code, 1).await.killed_at(1);
        assert_eq!(
            (execution.stdout.as_str(), execution.stderr.as_str()),
            ("so far\n", "and here\n"),
            "{code}"
        );
        assert_eq!(
            session
                .node("[typeof kept, await page.title()].join()")
                .await
                .ok()
                .result,
            "undefined,survivor"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn variables_functions_and_imports_persist_between_calls() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.node("const a = 1; let b = 2; var c = 3; function f() { return a + b + c } class K { x = 9 }").await.ok();
    assert_eq!(
        session.node("b = 10; [f(), new K().x]").await.ok().json(),
        json!([14, 9])
    );
    session
        .node("import { join } from 'node:path';\nimport fs from 'node:fs';\nimport * as os from 'node:os'")
        .await
        .ok();
    let code =
        "[join('a', 'b'), fs.existsSync('/'), typeof os.cpus, typeof require('node:url').parse]";
    assert_eq!(
        session.node(code).await.ok().json(),
        json!(["a/b", true, "function", "function"])
    );
    assert_eq!(
        session
            .node("const { basename } = await import('node:path'); basename('/x/y')")
            .await
            .ok()
            .result,
        "y"
    );
    assert_eq!(
        session
            .node("(await import('node:path')).sep")
            .await
            .ok()
            .result,
        "/"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_constant_may_be_declared_again() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.node("const again = 1").await.ok();
    session.node("const again = 2").await.ok();
    session.node("let again = 3").await.ok();
    assert_eq!(
        session.node("const again = 4; again").await.ok().result,
        "4"
    );
    assert_eq!(
        session
            .node("const { title: again, url } = {title: 5, url: 6}; again + url")
            .await
            .ok()
            .result,
        "11"
    );
    session.node("import again from 'node:path'").await.ok();
    assert_eq!(
        session.node("typeof again.join").await.ok().result,
        "function"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_page_that_a_call_assigns_is_the_page_of_the_next() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let code = format!(
        "page = await context.newPage(); await page.goto('{}'); undefined",
        site.url("/title/second")
    );
    session.node(&code).await.ok();
    assert_eq!(
        session.node("await page.title()").await.ok().result,
        "second"
    );
    // Another tab that comes up does not take the assigned page away.
    session
        .node(&format!(
            "const other = await context.newPage(); await other.goto('{}'); 0",
            site.url("/form")
        ))
        .await
        .ok();
    assert_eq!(
        session.node("await page.title()").await.ok().result,
        "second"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_closed_page_is_bound_again_to_the_current_tab() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session
        .node(&format!(
            "await page.goto('{}'); undefined",
            site.url("/title/first")
        ))
        .await
        .ok();
    let closings = [
        "page = await context.newPage(); await page.close()",
        "const page = await context.newPage(); await page.close()",
        "let page = await context.newPage(); await page.close()",
    ];
    for code in closings {
        session.node(code).await.ok();
        assert_eq!(
            session
                .node("[page.isClosed(), await page.title()].join()")
                .await
                .ok()
                .result,
            "false,first",
            "{code}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_closed_browser_is_connected_again_before_the_next_call() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session
        .node(&format!(
            "let kept = 1; await page.goto('{}'); undefined",
            site.url("/title/still-here")
        ))
        .await
        .ok();
    session.node("await browser.close()").await.ok();
    let code = "[browser.isConnected(), context.pages().length, page.isClosed(), await page.title(), kept]";
    assert_eq!(
        session.node(code).await.ok().json(),
        json!([true, 1, false, "still-here", 1])
    );
    session
        .node("const page = context.pages()[0]; await browser.close()")
        .await
        .ok();
    assert_eq!(
        session.node("await page.title()").await.ok().result,
        "still-here"
    );
    server.stop().await;
}

#[tokio::test]
async fn when_the_last_tab_was_closed_a_new_one_is_opened() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session.node("await context.newPage(); for (const tab of context.pages()) await tab.close(); undefined").await.ok();
    let code = format!(
        "await page.goto('{}'); [context.pages().length, await page.title()]",
        site.url("/title/new")
    );
    assert_eq!(session.node(&code).await.ok().json(), json!([1, "new"]));
    server.stop().await;
}

#[tokio::test]
async fn output_of_a_forgotten_timer_is_dropped_between_calls() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let signal = site.node_signal("written");
    let code = format!(
        "setTimeout(async () => {{ console.log('dropped'); console.error('dropped'); {signal} }}, 50); 'set'"
    );
    assert_eq!(session.node(&code).await.ok().result, "set");
    site.signalled("written").await;
    let next = session.node("console.log('mine')").await.ok();
    assert_eq!((next.stdout.as_str(), next.stderr.as_str()), ("mine\n", ""));
    server.stop().await;
}

#[tokio::test]
async fn output_of_a_forgotten_timer_belongs_to_the_call_that_it_falls_into() {
    let server = TestServer::start().await;
    let session = server.session().await;
    // The timer waits for the second call, so it cannot fire before.
    session
        .node(
            "const timer = setInterval(() => { if (globalThis.go) { console.log('late'); clearInterval(timer) } }, 10)",
        )
        .await
        .ok();
    let code = "globalThis.go = true; await new Promise((done) => setTimeout(done, 300)); console.log('own')";
    assert_eq!(session.node(code).await.ok().stdout, "late\nown\n");
    server.stop().await;
}

#[tokio::test]
async fn late_exceptions_and_rejections_go_to_stderr_and_do_not_end_the_kernel() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        ("throw new Error('late-throw')", "late-throw"),
        (
            "Promise.reject(new Error('late-rejection'))",
            "late-rejection",
        ),
        (
            "new (require('node:events'))().emit('error', new Error('late-event'))",
            "late-event",
        ),
    ];
    for (statement, part) in cases {
        let code = format!(
            "var kept = 1; setTimeout(() => {{ {statement} }}, 20); await new Promise((done) => setTimeout(done, 300)); 'end'"
        );
        let execution = session.node(&code).await.ok();
        assert_eq!(execution.result, "end", "{statement}");
        assert!(
            execution.stderr.contains(part),
            "{statement}: {}",
            execution.stderr
        );
        assert_eq!(session.node("kept").await.ok().result, "1", "{statement}");
    }
    // One that nobody sees, between two calls.
    session
        .node("setTimeout(() => { throw new Error('unseen') }, 1); 0")
        .await
        .ok();
    session.bash("sleep 0.3").await.ok();
    assert_eq!(session.node("kept").await.ok().result, "1");
    server.stop().await;
}

#[tokio::test]
async fn a_child_that_keeps_stdout_open_does_not_hold_the_answer() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.node("0").await.ok();
    let code =
        "require('node:child_process').spawn('sleep', ['300'], {stdio: 'inherit'}); 'answered'";
    let execution = session.node(code).await.ok();
    assert_eq!(execution.result, "answered");
    assert!(
        execution.elapsed < Duration::from_secs(2),
        "answered after {:?}",
        execution.elapsed
    );
    server.stop().await;
}

#[tokio::test]
async fn a_popup_and_a_download_work_as_playwright_says() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let popup = format!(
        "await page.goto('{}'); const [popped] = await Promise.all([page.waitForEvent('popup'), page.click('a')]); \
         await popped.waitForLoadState(); await popped.title()",
        site.url("/popup")
    );
    assert_eq!(session.node(&popup).await.ok().result, "popped");
    let download = format!(
        "await page.goto('{0}'); const [file] = await Promise.all([page.waitForEvent('download'), \
         page.evaluate(() => {{ location.href = '{1}' }})]); await file.saveAs('saved.txt'); \
         require('node:fs').readFileSync('saved.txt', 'utf8')",
        site.url("/title/downloads"),
        site.url("/download")
    );
    assert_eq!(session.node(&download).await.ok().result, GREETING);
    server.stop().await;
}

#[tokio::test]
async fn nonsense_on_the_kernels_own_descriptors_fails_at_most_that_call() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let nonsense = [
        "require('node:fs').writeSync(4, Buffer.alloc(64, 255))",
        "require('node:fs').writeSync(4, Buffer.from([0, 0, 0, 5, 1, 2, 3, 4, 5]))",
        "require('node:fs').closeSync(4)",
        "require('node:fs').closeSync(3); require('node:fs').closeSync(4)",
    ];
    for code in nonsense {
        // Whatever comes of it comes as an answer within the timeout.
        let execution = session
            .run_for("node", &format!("{code}; await new Promise(() => {{}})"), 2)
            .await;
        assert!(
            execution.elapsed < Duration::from_secs(3),
            "{code}: {:?}",
            execution.elapsed
        );
        assert_eq!(session.node("'alive'").await.ok().result, "alive", "{code}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_forged_answer_on_stdout_is_only_output() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let forged = r#"{"op":"done","id":1,"value":"forged","error":null,"truncated":false}"#;
    let execution = session
        .node(&format!("console.log('{forged}'); 'real'"))
        .await
        .ok();
    assert_eq!(
        (execution.stdout.trim_end(), execution.result.as_str()),
        (forged, "real")
    );
    server.stop().await;
}

#[tokio::test]
async fn node_is_the_language_of_code_that_names_none() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let answer = session
        .execute(&json!({"code": "process.release.name"}))
        .await
        .ok();
    assert_eq!(answer["result"], json!("node"));
    server.stop().await;
}
