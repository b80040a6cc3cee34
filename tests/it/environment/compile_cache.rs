//! The compile cache, which kernels and Playwright's driver use, and no other program.

use std::path::Path;

use hearth_test_support::{Session, TestServer};

/// Prints the directory of the compile cache that a Node process uses, and the variable.
const PRINT: &str =
    "console.log(require('node:module').getCompileCacheDir(), process.env.NODE_COMPILE_CACHE)";

/// Returns the directory that the kernel and the driver of the session use, if they use one.
async fn dirs_of_kernels(server: &TestServer, session: &Session) -> [Option<String>; 2] {
    let kernel = "require('node:module').getCompileCacheDir()";
    let kernel = session.node(kernel).await.ok().result;
    session.python("1").await.ok();
    let processes = server.processes();
    let driver = processes
        .iter()
        .find(|process| process.command.contains("run-driver"))
        .expect("the kernel of Python has a driver");
    let variables = driver.environment().expect("it runs");
    let driver = variables
        .iter()
        .find_map(|variable| variable.strip_prefix("NODE_COMPILE_CACHE="));
    [
        Some(kernel).filter(|dir| !dir.is_empty()),
        driver.map(str::to_owned),
    ]
}

/// Asserts that Node programs that code starts in each language use no cache.
async fn assert_no_cache_in_programs(session: &Session) {
    let programs = [
        ("bash", format!("node -e \"{PRINT}\"")),
        (
            "python",
            format!(
                "import subprocess\nsubprocess.run(['node', '-e', \"{PRINT}\"], capture_output=True, text=True).stdout.strip()"
            ),
        ),
        (
            "node",
            format!(
                "String(require('node:child_process').execFileSync('node', ['-e', \"{PRINT}\"])).trim()"
            ),
        ),
    ];
    for (language, code) in programs {
        let result = session.run(language, &code).await.ok().result;
        assert_eq!(result, "undefined undefined", "{language}");
    }
    let own = "'NODE_COMPILE_CACHE' in process.env";
    assert_eq!(session.node(own).await.ok().result, "false");
    let own = "import os\n'NODE_COMPILE_CACHE' in os.environ";
    assert_eq!(session.python(own).await.ok().result, "false");
}

#[tokio::test]
async fn kernels_load_compiled_code_and_programs_do_not() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let [kernel, driver] = dirs_of_kernels(&server, &session).await;
    // A cache that the server's own user can change is not used.
    if nix::unistd::geteuid().is_root() {
        let kernel = kernel.expect("the kernel uses the cache that setup creates");
        let parent = Path::new(&kernel).parent().and_then(Path::to_str);
        assert_eq!(driver.as_deref(), parent);
        let entries = std::fs::read_link(&kernel).expect("a link");
        assert!(entries.is_dir(), "{}", entries.display());
    }
    assert_no_cache_in_programs(&session).await;
    server.stop().await;
}

/// Without isolation, kernels of root would write to the cache.
#[tokio::test]
async fn without_isolation_no_compiled_code_is_loaded() {
    let server = TestServer::builder()
        .setting("HEARTH_ISOLATION", "none")
        .start()
        .await;
    let session = server.session().await;
    let dirs = dirs_of_kernels(&server, &session).await;
    assert_eq!(dirs, [None, None]);
    assert_no_cache_in_programs(&session).await;
    server.stop().await;
}
