//! Code that is shaped like a standalone script: calls that nothing awaits, event loops that it
//! runs, a top-level `return`, exported functions, and types.

use hearth_test_support::{Session, TestServer};

/// A language, the code, and the expected stdout and result.
pub(super) type Row = (&'static str, &'static str, &'static str, &'static str);

pub(super) async fn assert_rows(session: &Session, rows: &[Row]) {
    for (language, code, stdout, result) in rows {
        let execution = session.run(language, code).await.ok();
        assert_eq!(
            (execution.stdout.as_str(), execution.result.as_str()),
            (*stdout, *result),
            "{language}: {code}: {}",
            execution.stderr
        );
    }
}

#[tokio::test]
async fn a_final_promise_or_coroutine_is_awaited_and_its_value_is_the_result() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let rows = [
        (
            "node",
            "(async () => { await page.title(); return 'iife' })()",
            "",
            "iife",
        ),
        (
            "node",
            "async function main() { await page.title(); console.log('end') }\nmain();",
            "end\n",
            "end",
        ),
        (
            "node",
            "later().then((value) => console.log(value));\nasync function later() { return 'above' }",
            "above\n",
            "above",
        ),
        ("node", "Promise.all([page.title(), 2])", "", "[\"\",2]"),
        (
            "node",
            "if (require.main === module) { main() }",
            "end\n",
            "end",
        ),
        ("node", "try { main() } finally { }", "end\n", "end"),
        (
            "python",
            "async def main():\n    await page.title()\n    print('end')\nif __name__ == '__main__':\n    main()",
            "end\n",
            "end",
        ),
        (
            "python",
            "if not main:\n    return\nelif main:\n    if True:\n        main()",
            "end\n",
            "end",
        ),
        ("node", "void main();", "end\n", "end"),
        // An assignment is not awaited, and neither is a declaration.
        (
            "node",
            "held = new Promise(() => {})",
            "",
            "Promise { <pending> }",
        ),
        (
            "node",
            "const kept = page.waitForEvent('popup', {timeout: 0})",
            "",
            "",
        ),
        (
            "python",
            "async def main():\n    await page.title()\n    print('end')\n    return 5\nmain()",
            "end\n",
            "5",
        ),
        (
            "python",
            "import asyncio\nasyncio.gather(page.title(), asyncio.sleep(0, 2))",
            "",
            "[\"\",2]",
        ),
        ("python", "held = main()\n'not awaited'", "", "not awaited"),
        (
            "python",
            "repr(asyncio.create_task(asyncio.sleep(100)))[:5]",
            "",
            "<Task",
        ),
    ];
    assert_rows(&session, &rows).await;
    let rejected = [
        (
            "node",
            "async function bad() { await page.title(); throw new TypeError('late') }\nbad();",
            "TypeError: late",
        ),
        (
            "node",
            "Promise.reject(new RangeError('at once'))",
            "RangeError: at once",
        ),
        (
            "python",
            "async def bad():\n    await page.title()\n    raise ValueError('late')\nbad()",
            "ValueError: late",
        ),
    ];
    for (language, code, error) in rejected {
        let execution = session.run(language, code).await.failed(1);
        assert_eq!(execution.error(), error, "{language}: {code}");
        let mentions = execution.stderr.matches(error).count();
        assert_eq!(mentions, 1, "{language}: {code}: {}", execution.stderr);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_script_may_run_the_event_loop_that_is_running() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let main = "import asyncio\nasync def main():\n    await asyncio.sleep(0)\n    print(page.url)\n    return await page.title() + '!'\n";
    session.python(main).await.ok();
    let url = "about:blank\n";
    let rows = [
        (
            "python",
            "if __name__ == '__main__':\n    asyncio.run(main())",
            url,
            "about:blank",
        ),
        ("python", "asyncio.run(main())", url, "!"),
        (
            "python",
            "loop = asyncio.get_event_loop()\nvalue = loop.run_until_complete(main())\nloop.close()\nvalue",
            url,
            "!",
        ),
        (
            "python",
            "loop = asyncio.new_event_loop()\nasyncio.set_event_loop(loop)\ntry:\n    value = loop.run_until_complete(main())\n\
             finally:\n    loop.run_until_complete(loop.shutdown_asyncgens())\n    loop.close()\nvalue",
            url,
            "!",
        ),
        (
            "python",
            "with asyncio.Runner() as runner:\n    value = runner.run(main())\nvalue",
            url,
            "!",
        ),
        (
            "python",
            "def wrapper():\n    return asyncio.run(main()) + asyncio.run(main())\nwrapper()",
            "about:blank\nabout:blank\n",
            "!!",
        ),
        (
            "python",
            "loop = asyncio.get_event_loop()\nloop.call_later(0.01, loop.stop)\nloop.run_forever()\n'stopped'",
            "",
            "stopped",
        ),
        (
            "python",
            "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor() as pool:\n    \
             value = list(pool.map(lambda item: asyncio.run(asyncio.sleep(0, item)), [1, 2]))\nvalue",
            "",
            "[1,2]",
        ),
        // The kernel's loop is neither closed nor shut down.
        ("python", "await asyncio.to_thread(lambda: 7)", "", "7"),
    ];
    assert_rows(&session, &rows).await;
    let fail = "async def fail():\n    raise ValueError('inside')\nasyncio.run(fail())";
    let execution = session.python(fail).await.failed(1);
    assert_eq!(execution.error(), "ValueError: inside");
    assert!(
        execution.stderr.contains("line 2, in fail"),
        "{}",
        execution.stderr
    );
    server.stop().await;
}

#[tokio::test]
async fn a_return_outside_of_functions_ends_the_code_with_its_value() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let rows = [
        ("node", "return 5", "", "5"),
        (
            "node",
            "if (true) return 'early'\nconsole.log('never')",
            "",
            "early",
        ),
        ("python", "return 5", "", "5"),
        ("python", "return", "", ""),
        (
            "python",
            "title = await page.title()\nreturn {'title': title}",
            "",
            "{\"title\":\"\"}",
        ),
        (
            "python",
            "import json as j\ncount: int = 0\nfor item in range(9):\n    count += 1\n    if item == 3:\n        return item\nprint('never')",
            "",
            "3",
        ),
        // Variables persist.
        ("python", "[count, item, j.__name__]", "", "[4,3,\"json\"]"),
        (
            "python",
            "def helper():\n    return count\ntry:\n    1 / 0\nexcept ZeroDivisionError as error:\n    return [helper(), str(error)]",
            "",
            "[4,\"division by zero\"]",
        ),
        (
            "python",
            "if count > 99:\n    return 'large'\n'last'",
            "",
            "last",
        ),
        (
            "python",
            "from __future__ import annotations\nglobal both\nboth = [square for square in range(2)]\nreturn both",
            "",
            "[0,1]",
        ),
        ("python", "both", "", "[0,1]"),
        (
            "python",
            "if True:\n    from math import *\nreturn sqrt(16)",
            "",
            "4.0",
        ),
        ("python", "floor(1.5)", "", "1"),
    ];
    assert_rows(&session, &rows).await;
    let execution = session.python("x = 1\nreturn 1 / 0").await.failed(1);
    assert!(
        execution.stderr.contains("line 2, in <module>"),
        "{}",
        execution.stderr
    );
    server.stop().await;
}

#[tokio::test]
async fn a_function_of_the_sessions_objects_is_called() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let rows = [
        (
            "node",
            "export default async ({ page }) => {\n  return { data: await page.title(), type: 'text/plain' };\n};",
            "",
            "{\"data\":\"\",\"type\":\"text/plain\"}",
        ),
        (
            "node",
            "export default async function named({ page, context }) { return context === page.context() }",
            "",
            "true",
        ),
        (
            "node",
            "async function handler({ browser }) { return browser.isConnected() }\nexport default handler;",
            "",
            "true",
        ),
        (
            "node",
            "module.exports = async ({ page }) => page.url();",
            "",
            "about:blank",
        ),
        (
            "node",
            "module.exports = shared;\nasync function shared({ page }) { return page.url() }",
            "",
            "about:blank",
        ),
        (
            "node",
            "async (page) => { return page.url(); }",
            "",
            "about:blank",
        ),
        ("node", "async ({ page }) => page.url()", "", "about:blank"),
        (
            "node",
            "async function ({ page }) { return page.url() }",
            "",
            "about:blank",
        ),
        ("node", "(page, context) => context.pages().length", "", "1"),
        ("node", "async (tab) => tab.url()", "", "about:blank"),
        (
            "node",
            "async (all) => { const { page } = all; return page.url() }",
            "",
            "about:blank",
        ),
        // Other functions, classes and values are values.
        ("node", "(function name() {})", "", "[Function: name]"),
        ("node", "export default class Model {}", "", "[class Model]"),
        ("node", "export default 5", "", "5"),
    ];
    assert_rows(&session, &rows).await;
    let failing = "export default async ({ page }) => { throw new Error('inside') }";
    let execution = session.node(failing).await.failed(1);
    assert_eq!(execution.error(), "Error: inside");
    server.stop().await;
}

#[tokio::test]
async fn types_are_removed_from_typescript() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let rows = [
        (
            "node",
            "const x: number = 5;\ninterface A { a: string }\nconst f = (v: A): string => v.a;\nf({ a: 'ok' }) + x",
            "",
            "ok5",
        ),
        (
            "node",
            "import { chromium, Page, type Browser } from 'playwright';\n\
             const url = async (tab: Page): Promise<string> => tab.url();\nurl(page as Page)",
            "",
            "about:blank",
        ),
        (
            "node",
            "import type { Page } from 'playwright';\nimport {\n  chromium,\n} from 'playwright';\n\
             const tab: Page = page;\nif (tab!) return tab.url() satisfies string;\nreturn 'never'",
            "",
            "about:blank",
        ),
        (
            "node",
            "function same<T>(value: T): T { return value }\nsame<number>(4)",
            "",
            "4",
        ),
        (
            "node",
            "export default async ({ page }: { page: any }): Promise<string> => page.url();",
            "",
            "about:blank",
        ),
        (
            "node",
            "main();\nasync function main(): Promise<void> { console.log('typed') }",
            "typed\n",
            "typed",
        ),
    ];
    assert_rows(&session, &rows).await;
    let execution = session
        .node("let n: number = 1\nthrow new Error('x')")
        .await
        .failed(1);
    assert!(
        execution.stderr.contains(":2:"),
        "line numbers changed: {}",
        execution.stderr
    );
    let execution = session.node("enum Color { Red }").await.failed(1);
    assert!(
        execution
            .error()
            .contains("TypeScript enum is not supported"),
        "{}",
        execution.error()
    );
    let execution = session.node("const x: = 5").await.failed(1);
    assert!(
        execution
            .error()
            .starts_with("SyntaxError: Missing initializer"),
        "{}",
        execution.error()
    );
    server.stop().await;
}

#[tokio::test]
async fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let rows = [
        (
            "node",
            "\u{feff}const a = 1\r\nconst b = 2\r\na + b\r\n",
            "",
            "3",
        ),
        ("node", "\u{feff}#!/usr/bin/env node\r\n5\r\n", "", "5"),
        (
            "python",
            "\u{feff}a = 1\r\nif a:\r\n    a = 2\r\na\r\n",
            "",
            "2",
        ),
    ];
    assert_rows(&session, &rows).await;
    server.stop().await;
}

#[tokio::test]
async fn a_parse_failure_names_the_language_that_ran_and_the_one_that_the_code_looks_like() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        (
            "node",
            "import os\nprint(os.getcwd())",
            "(ran as node, the default; for Python send \"language\": \"python\")",
        ),
        (
            "node",
            "for i in range(3):\n    print(i)",
            "(ran as node, the default; for Python send \"language\": \"python\")",
        ),
        (
            "node",
            "agent-browser open https://example.com\nagent-browser get title",
            "(ran as node, the default; for Bash send \"language\": \"bash\")",
        ),
        ("node", "const x = {", "(ran as node, the default)"),
        (
            "python",
            "const title = await page.title();\nconsole.log(title);",
            "(ran as python; for JavaScript send \"language\": \"node\")",
        ),
        (
            "python",
            "curl -s http://example.com | head",
            "(ran as python; for Bash send \"language\": \"bash\")",
        ),
        ("python", "print('a'", "(ran as python)"),
    ];
    for (language, code, hint) in cases {
        let execution = session.run(language, code).await.failed(1);
        assert!(
            execution.error().starts_with("SyntaxError: ") && execution.error().ends_with(hint),
            "{code}: {}",
            execution.error()
        );
    }
    let in_bash = [
        (
            "const title = await page.title();",
            "(ran as bash; for JavaScript send \"language\": \"node\")",
        ),
        (
            "import os\nprint(os.getcwd())",
            "(ran as bash; for Python send \"language\": \"python\")",
        ),
    ];
    for (code, hint) in in_bash {
        let execution = session.bash(code).await;
        let error = execution.error();
        assert!(error.ends_with(hint), "{code}: {error}");
    }
    // Code that fails while it runs parses text, not the code.
    let execution = session.python("eval('1 +')").await.failed(1);
    assert!(
        !execution.error().contains("ran as"),
        "{}",
        execution.error()
    );
    server.stop().await;
}
