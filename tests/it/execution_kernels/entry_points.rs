//! Scripts that call their own main function, and export it as well.

use hearth_test_support::TestServer;

use super::scripts::assert_rows;

/// The beginning of each script. Its call takes a moment, so that a second one would be seen.
const MAIN: &str = "count = 0;\nasync function main() { count += 1; await page.waitForTimeout(50); console.log('run', count) }\n";

#[tokio::test]
async fn an_exported_function_that_the_script_calls_runs_once() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let scripts = [
        "main();\nexport default main;",
        "export default main;\nmain();",
        "export { main as default };\nawait main();",
        "main();\nmodule.exports = main;",
        "module.exports = main;\nif (require.main === module) main();",
        "if (require.main === module) main();\nmodule.exports = main;",
        "main().catch(console.error);\nmodule.exports = { main };",
        "main();\nexports.main = main;\nexports.other = 1;",
        "exports.VERSION = 1;\nmain();\nmodule.exports.main = main;",
        "main();\nexport default { version: 1 };",
        "module.exports = main();",
        // Not called by name, or inside of a function that is called.
        "Promise.resolve().then(main);\nexport default main;",
        "(async () => { await main() })().catch(console.error);\nmodule.exports = main;",
        "function start() { return main() }\nstart();\nexport default main;",
        "const start = () => main();\nstart();\nexport { main as default };",
        "[1].forEach(() => main());\nawait page.waitForTimeout(200);\nexport default main;",
        "main();\nconst VERSION = '1.0';",
        "import { fileURLToPath } from 'node:url';\nif (process.argv[1] === fileURLToPath(import.meta.url)) main();",
        "import { pathToFileURL } from 'node:url';\nif (import.meta.url === pathToFileURL(process.argv[1]).href) main();",
        "!async function () { await main() }();",
        "void async function () { await main() }();",
        "+async function () { await main() }()",
    ];
    for script in scripts {
        let execution = session.node(&format!("{MAIN}{script}")).await.ok();
        assert_eq!(execution.stdout, "run 1\n", "{script}: {execution:?}");
        let late = session.node("0").await.ok();
        assert_eq!(late.stdout, "", "{script}");
    }
    server.stop().await;
}

#[tokio::test]
async fn exported_functions_that_the_script_does_not_call_are_called() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let rows = [
        (
            "node",
            "async function scrape({ page }) { return page.url() }\nexport { scrape as default };",
            "",
            "about:blank",
        ),
        (
            "node",
            "prepare = () => 1;\nprepare();\nmodule.exports = async ({ page }) => page.url();",
            "",
            "about:blank",
        ),
        ("node", "module.exports = { a: 1 }", "", "{\"a\":1}"),
        (
            "node",
            "export { readFileSync as default } from 'fs'",
            "",
            "",
        ),
        ("node", "setTimeout(() => {}, 10)", "", ""),
    ];
    assert_rows(&session, &rows).await;
    server.stop().await;
}
