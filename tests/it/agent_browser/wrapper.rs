//! The wrapper around agent-browser: its own commands, and unchanged behaviour of all others.

use hearth_test_support::{Site, TestServer};

#[tokio::test]
async fn arguments_input_and_exit_codes_pass_through() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session
        .bash(&format!("agent-browser open {}", site.url("/form")))
        .await
        .ok();
    let cases = [
        (
            "agent-browser fill '#name' 'two  words $HOME \"q\"' && agent-browser get value '#name'",
            0,
            "✓ Done\ntwo  words $HOME \"q\"",
        ),
        (
            "agent-browser fill '#name' '' && agent-browser get value '#name'",
            0,
            "✓ Done",
        ),
        (
            "agent-browser fill '#name' scrape && agent-browser get value '#name'",
            0,
            "✓ Done\nscrape",
        ),
        (
            "echo 'document.title' | agent-browser eval --stdin",
            0,
            "\"Form\"",
        ),
        ("agent-browser --session s get title", 0, "Form"),
        ("agent-browser --json false get title", 0, "Form"),
        (
            "agent-browser nonsense 2>&1",
            1,
            "Unknown command: nonsense",
        ),
        ("agent-browser --session scrape session", 0, "scrape"),
    ];
    for (code, exit_code, stdout) in cases {
        let execution = session.bash(code).await;
        assert_eq!(
            (execution.exit_code, execution.stdout.trim_end()),
            (exit_code, stdout),
            "{code}: {execution:?}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn scrape_works_after_options_and_takes_no_argument() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session
        .bash(&format!("agent-browser open {}", site.url("/title/Mill")))
        .await
        .ok();
    for code in [
        "scrape",
        "--session s scrape",
        "scrape --session s",
        "--json false scrape",
        "--max-output 500 scrape",
    ] {
        let execution = session.bash(&format!("agent-browser {code}")).await.ok();
        assert_eq!(execution.stdout, "# Mill\n\nA paragraph.\n", "{code}");
    }
    let execution = session
        .bash("agent-browser scrape http://127.0.0.1:1/")
        .await
        .failed(1);
    assert!(
        execution
            .error()
            .contains("Open the page first: agent-browser open <url>"),
        "{}",
        execution.error()
    );
    server.stop().await;
}

#[tokio::test]
async fn help_lists_scrape_and_scrape_has_its_own_help() {
    let server = TestServer::start().await;
    let session = server.session().await;
    for code in ["agent-browser --help", "agent-browser -h", "agent-browser"] {
        let help = session.bash(code).await.ok().stdout;
        assert!(help.contains("Usage: agent-browser <command>"), "{code}");
        assert!(
            help.ends_with("Current page as Markdown (agent-browser scrape --help)\n"),
            "{code}"
        );
    }
    let help = session
        .bash("agent-browser scrape --help")
        .await
        .ok()
        .stdout;
    assert!(
        help.starts_with("agent-browser scrape - Current page as Markdown\n"),
        "{help}"
    );
    assert_eq!(
        session
            .bash("agent-browser --version")
            .await
            .ok()
            .stdout
            .lines()
            .count(),
        1
    );
    server.stop().await;
}

#[tokio::test]
async fn errors_of_scrape_do_not_contain_the_token() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let code = "agent-browser scrape; AGENT_BROWSER_CDP=${AGENT_BROWSER_CDP%?} agent-browser --session other scrape";
    let execution = session.bash(code).await.failed(1);
    assert!(
        !execution.error().is_empty() && !execution.error().contains("token="),
        "{execution:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn bash_code_finds_the_address_of_its_browser_in_cdp_url() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let code = "const socket = new WebSocket(process.env.CDP_URL); \
                socket.onopen = () => socket.send('{\"id\":1,\"method\":\"Browser.getVersion\"}'); \
                socket.onmessage = ({ data }) => { console.log(JSON.parse(data).result.product); socket.close(); }";
    let execution = session
        .bash(&format!("node -e '{}'", code.replace('\'', "'\\''")))
        .await
        .ok();
    assert!(execution.result.contains("Chrome/"), "{}", execution.result);
    server.stop().await;
}
