//! A browser that neither ends nor answers.

use hearth_browser::{BrowserError, ClientOrigin, DeathReason};
use nix::sys::signal::{Signal, kill};

use crate::pid_of;
use crate::support::{Connection, Ground};

/// Rules P2, C4: a client that comes is refused, and soon everybody is told.
#[tokio::test]
async fn a_browser_that_stopped_answering_is_killed() {
    let ground = Ground::new();
    let browser = ground.browser().await;
    let mut client = Connection::to(&browser).await;
    kill(pid_of(&browser), Signal::SIGSTOP).expect("it runs");
    client.send(None, "Browser.getVersion", &serde_json::json!({}));
    let refused = browser.attach(ClientOrigin::External).await;
    assert!(
        matches!(refused, Err(BrowserError::TimedOut { .. })),
        "{refused:?}"
    );
    assert_eq!(
        client.close().await,
        (1011, "browser crashed (it stopped answering)".to_owned())
    );
    assert_eq!(browser.died().await, DeathReason::Silent);
    browser.kill().await;
    ground.assert_nothing_is_left().await;
}
