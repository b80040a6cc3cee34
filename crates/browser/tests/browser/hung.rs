//! Tests browsers that neither exit nor reply.

use hearth_browser::{BrowserError, ClientOrigin, DeathReason};
use nix::sys::signal::{Signal, kill};

use crate::pid_of;
use crate::support::{BrowserFixture, Connection};

/// Rules P2, C4: a new client is rejected, and soon all clients are closed.
#[tokio::test]
async fn unresponsive_browser_is_killed() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let mut client = Connection::to(&browser).await;
    kill(pid_of(&browser), Signal::SIGSTOP).expect("the browser runs");
    client.send(None, "Browser.getVersion", &serde_json::json!({}));
    let attached = browser.attach(ClientOrigin::External).await;
    assert!(
        matches!(attached, Err(BrowserError::TimedOut { .. })),
        "{attached:?}"
    );
    assert_eq!(
        client.close().await,
        (1011, "browser crashed (stopped replying)".to_owned())
    );
    assert_eq!(browser.died().await, DeathReason::Silent);
    browser.kill().await;
    fixture.assert_no_processes().await;
}
