//! Playwright's videos need ffmpeg.

use hearth_test_support::TestServer;

#[tokio::test]
async fn a_context_with_a_video_fails_with_the_reason() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        (
            "node",
            "await browser.newContext({ recordVideo: { dir: '.' } })",
        ),
        (
            "node",
            "await browser.newPage({ recordVideo: { dir: '.' } })",
        ),
        ("python", "await browser.new_context(record_video_dir='.')"),
        ("python", "await browser.new_page(record_video_dir='.')"),
        (
            "python",
            "from playwright.sync_api import sync_playwright\nwith sync_playwright() as p: p.chromium.launch().new_page(record_video_dir='.')",
        ),
    ];
    for (language, code) in cases {
        let failed = session.run(language, code).await.failed(1);
        let error = failed.error();
        assert!(error.contains("needs ffmpeg"), "{code}: {error}");
        assert!(!error.contains("playwright install"), "{code}: {error}");
    }
    let usual = "const own = await browser.newContext(); const tab = await own.newPage(); await own.close(); 7";
    assert_eq!(session.node(usual).await.ok().result, "7");
    server.stop().await;
}
