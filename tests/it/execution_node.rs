//! Node code: values, exceptions, exits, and a kernel that lives as long as the session.

use hearth_test_support::{GREETING, Site, TestServer};
use serde_json::json;

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
            "{code} is shown in {} bytes",
            execution.result.len()
        );
    }
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
async fn process_exit_is_the_exit_code() {
    let server = TestServer::start().await;
    let session = server.session().await;
    for (code, exit_code) in [
        ("process.exit(7)", 7),
        ("console.log('x'); process.exit(1)", 1),
    ] {
        let execution = session.node(code).await.failed(exit_code);
        assert_eq!(execution.error(), "Execution failed", "{code}");
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
    // A new tab does not replace the assigned page.
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
async fn a_constant_page_does_not_keep_a_closed_browser() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session
        .node(&format!(
            "await page.goto('{}'); undefined",
            site.url("/title/still-here")
        ))
        .await
        .ok();
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
async fn an_exception_between_two_calls_does_not_end_the_kernel() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session
        .node("var kept = 1; setTimeout(() => { throw new Error('unseen') }, 1); 0")
        .await
        .ok();
    session.bash("sleep 0.3").await.ok();
    assert_eq!(session.node("kept").await.ok().result, "1");
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

#[tokio::test]
async fn an_error_in_typescript_names_its_own_line() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let types = "interface Product { name: string }\nconst product: Product = { name: 'x' };\n";
    let transformed = "is not supported: of TypeScript, only types are removed";
    let decorators = "decorators are not supported: of TypeScript, only types are removed";
    let cases = [
        (
            format!("{types}console.log(product.name;"),
            "Expected ',', got ';'",
            3,
        ),
        (
            format!("{types}if (product) return product +;"),
            "Expression expected",
            3,
        ),
        (
            format!("import fs from 'node:fs';\n{types}console.log(product.name"),
            "Expected ','",
            4,
        ),
        (format!("{types}enum Color {{ Red }}"), transformed, 3),
        (
            format!("{types}if (product) return 1;\nenum Color {{ Red }}"),
            transformed,
            4,
        ),
        (format!("{types}@sealed class A {{}}"), decorators, 3),
        (
            "import fs from 'node:fs';\nclass A { @observed x = 1 }".to_owned(),
            decorators,
            2,
        ),
        // An error of JavaScript is in V8's words.
        ("let a = 1;\na = = 5".to_owned(), "Unexpected token '='", 2),
    ];
    for (code, error, line) in cases {
        let execution = session.node(&code).await.failed(1);
        assert!(
            execution.error().starts_with("SyntaxError: ") && execution.error().contains(error),
            "{code}: {}",
            execution.error()
        );
        let (position, shown) = execution.stderr.split_once('\n').unwrap_or_default();
        assert!(
            position.ends_with(&format!(".js:{line}")),
            "{code}: {}",
            execution.stderr
        );
        assert_eq!(shown.lines().next(), code.lines().nth(line - 1), "{code}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_missing_package_is_named_without_paths_of_the_server() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let variables =
        "The session has the variables page, context and browser, and the package playwright";
    let cases = [
        (
            "import { test } from '@playwright/test'",
            format!("Cannot find package '@playwright/test'. {variables}"),
        ),
        (
            "const puppeteer = require('puppeteer')",
            format!("Cannot find package 'puppeteer'. {variables}"),
        ),
        (
            "await import('left-pad')",
            "Cannot find package 'left-pad'".to_owned(),
        ),
        (
            "require('left-pad')",
            "Cannot find module 'left-pad'".to_owned(),
        ),
    ];
    for (code, message) in cases {
        let execution = session.node(code).await.failed(1);
        assert_eq!(execution.error(), format!("Error: {message}"), "{code}");
        assert!(
            execution.stderr.contains(&message) && !execution.stderr.contains(".installed"),
            "{code}: {}",
            execution.stderr
        );
    }
    let code = "try { require('left-pad') } catch (error) { error.code }";
    assert_eq!(session.node(code).await.ok().result, "MODULE_NOT_FOUND");
    server.stop().await;
}
