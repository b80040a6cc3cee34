//! Hints about code that is sent in another language and fails while it runs, or that names its
//! language in the first line.

use hearth_test_support::{Session, TestServer};

const NODE_RAN: &str = "(ran as node, the default)";
const NODE_FOR_PYTHON: &str =
    "(ran as node, the default; for Python send \"language\": \"python\")";
const NODE_FOR_BASH: &str = "(ran as node, the default; for Bash send \"language\": \"bash\")";
const PYTHON_RAN: &str = "(ran as python)";
const PYTHON_FOR_NODE: &str = "(ran as python; for JavaScript send \"language\": \"node\")";
const PYTHON_FOR_BASH: &str = "(ran as python; for Bash send \"language\": \"bash\")";
const BASH_FOR_NODE: &str = "(ran as bash; for JavaScript send \"language\": \"node\")";
const BASH_FOR_PYTHON: &str = "(ran as bash; for Python send \"language\": \"python\")";

/// Asserts that `error` and `stderr` of failing code end with the hint.
async fn assert_hints(session: &Session, rows: &[(&str, &str, &str)]) {
    for (language, code, hint) in rows {
        let execution = session.run(language, code).await;
        let (error, stderr) = (execution.error(), execution.stderr.trim_end());
        assert!(error.ends_with(hint), "{language}: {code}: {error}");
        assert!(stderr.ends_with(hint), "{language}: {code}: {stderr}");
    }
}

#[tokio::test]
async fn code_that_fails_while_it_runs_gets_a_hint_if_it_surely_is_another_language() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let snake = "(ran as node, the default, where it is waitForSelector; for Python send \"language\": \"python\")";
    let camel = "(ran as python, where it is wait_for_selector; for JavaScript send \"language\": \"node\")";
    let rows = [
        ("node", "print('x')", NODE_FOR_PYTHON),
        (
            "node",
            "title = await page.title()\nprint(title)",
            NODE_FOR_PYTHON,
        ),
        ("node", "len([1])", NODE_FOR_PYTHON),
        ("node", "found = None", NODE_FOR_PYTHON),
        ("node", "found = True", NODE_FOR_PYTHON),
        ("node", "await page.wait_for_selector('h1')", snake),
        ("node", "#!/usr/bin/env python3\nmissing()", NODE_FOR_PYTHON),
        ("python", "console.log('x')", PYTHON_FOR_NODE),
        (
            "python",
            "title = await page.title()\nconsole.log(title)",
            PYTHON_FOR_NODE,
        ),
        ("python", "const", PYTHON_FOR_NODE),
        ("python", "document.querySelector('h1')", PYTHON_FOR_NODE),
        ("python", "await page.waitForSelector('h1')", camel),
        (
            "python",
            "from playwright.async_api import Page\ntab: Page = page\nawait tab.waitForSelector('h1')",
            camel,
        ),
        ("python", "#!/usr/bin/env node\nmissing()", PYTHON_FOR_NODE),
        ("python", "#!/bin/bash\nmissing()", PYTHON_FOR_BASH),
    ];
    assert_hints(&session, &rows).await;
    let sure_only = [
        ("node", "missing"),
        ("node", "const n = len([1]);"),
        ("node", "throw new Error('print is not defined')"),
        ("node", "const my = {};\nmy.do_it()"),
        ("node", "#!/usr/bin/env node\nmissing"),
        ("python", "missing"),
        ("python", "import os\nconsole.log('x')"),
        ("python", "raise NameError('console')"),
        ("python", "[].waitForSelector"),
        ("python", "page.waitForNothing"),
        ("python", "#!/usr/bin/env python3\nmissing"),
    ];
    for (language, code) in sure_only {
        let execution = session.run(language, code).await.failed(1);
        let told = format!("{}{}", execution.error(), execution.stderr);
        assert!(!told.contains("ran as"), "{language}: {code}: {told}");
    }
    server.stop().await;
}

#[tokio::test]
async fn code_that_does_not_parse_gets_a_hint_about_conditions_and_interpreters() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let condition = "if [ -f x ]; then echo y; fi";
    let rows = [
        ("node", condition, NODE_FOR_BASH),
        ("node", "#!/usr/bin/python3 -u\nf(", NODE_FOR_PYTHON),
        ("node", "#!/bin/bash\nf(", NODE_FOR_BASH),
        ("node", "#!/usr/bin/env node\ndef f():", NODE_RAN),
        ("python", condition, PYTHON_FOR_BASH),
        ("python", "#!/usr/bin/env -S node\nf(", PYTHON_FOR_NODE),
        ("python", "#!/bin/sh\nf(", PYTHON_FOR_BASH),
        ("python", "#!/usr/bin/env python3\nf({;", PYTHON_RAN),
        (
            "bash",
            "await page.goto(\"data:text/html,x\"); await page.title()",
            BASH_FOR_NODE,
        ),
        ("bash", "page.on('console', print);", BASH_FOR_NODE),
        ("bash", "#!/usr/bin/env node\nf(1)", BASH_FOR_NODE),
        ("bash", "#!/usr/bin/env python3\nf(1)", BASH_FOR_PYTHON),
    ];
    assert_hints(&session, &rows).await;
    for code in [
        "function f() {\n  missing-command\n}\nf",
        "let n=1\nmissing-command",
        "echo 'a => b'\nmissing-command",
    ] {
        let execution = session.bash(code).await.failed(127);
        assert!(!execution.stderr.contains("ran as"), "{execution:?}");
    }
    server.stop().await;
}
