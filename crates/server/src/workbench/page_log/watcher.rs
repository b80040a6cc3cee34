//! Listens to the events of the current tab for one reader.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use hearth_browser::{Browser, ClientOrigin, ClientReceiver, ClientSender, Outgoing, TabChanges};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::console;
use super::network::Requests;
use super::queue::Queue;

/// The time after which a tab that did not accept a client is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The calls after which Chromium sends the events. It keeps no bodies of responses.
const CALLS: [&str; 3] = [
    r#"{"id":1,"method":"Runtime.enable"}"#,
    r#"{"id":2,"method":"Log.enable"}"#,
    r#"{"id":3,"method":"Network.enable","params":{"maxTotalBufferSize":0,"maxResourceBufferSize":0}}"#,
];

/// A client of the current tab.
struct Attached {
    tab: String,
    /// Dropping it would disconnect the client.
    _sender: ClientSender,
    receiver: ClientReceiver,
    requests: Requests,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    params: &'a RawValue,
}

/// Closes a queue when the task ends for any reason.
struct Closing(Arc<Queue>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Adds the lines of the current tab to a queue until the browser is gone.
pub(super) async fn watch(browser: Browser, queue: Arc<Queue>) {
    let closing = Closing(queue);
    tokio::select! {
        () = follow(&browser, &closing.0) => {}
        _ = browser.died() => {}
    }
}

async fn follow(browser: &Browser, queue: &Queue) {
    let mut changes = browser.tab_changes();
    let mut attached: Option<Attached> = None;
    loop {
        let current = browser.current_tab();
        if attached.as_ref().map(|attached| &attached.tab) != current.as_ref() {
            attached = match current {
                Some(tab) => attach(browser, tab).await,
                None => None,
            };
        }
        let is_attached = attached.is_some();
        tokio::select! {
            message = next(&mut attached) => {
                if let (Some(text), Some(attached)) = (&message, &mut attached) {
                    attached.apply(text, queue);
                }
                if message.is_none() {
                    attached = None;
                    // The broker may close a client that read too slowly.
                    changed(&mut changes, false).await;
                }
            }
            () = changed(&mut changes, is_attached) => {}
        }
    }
}

/// Waits until the tabs change. Does not wait for long without a client, because a tab may accept
/// one later. Cancel safe.
async fn changed(changes: &mut TabChanges, is_attached: bool) {
    if is_attached {
        changes.next().await;
    } else {
        // Both outcomes are a reason to try again.
        let _ = timeout(RETRY, changes.next()).await;
    }
}

async fn attach(browser: &Browser, tab: String) -> Option<Attached> {
    let attaching = browser.attach_to(&tab, ClientOrigin::External).await;
    let client = attaching.inspect_err(|error| tracing::debug!(%error, "page log not attached"));
    let (sender, receiver) = client.ok()?.split();
    for call in CALLS {
        sender.send_passively(call).ok()?;
    }
    Some(Attached {
        tab,
        _sender: sender,
        receiver,
        requests: Requests::default(),
    })
}

/// Returns the next message, or `None` when the client was closed. Waits forever without a client.
/// Cancel safe.
async fn next(attached: &mut Option<Attached>) -> Option<String> {
    match attached {
        None => std::future::pending().await,
        Some(attached) => match attached.receiver.next().await {
            Outgoing::Message(text) => Some(text),
            Outgoing::Close { .. } => None,
        },
    }
}

impl Attached {
    fn apply(&mut self, message: &str, queue: &Queue) {
        // Replies have no method.
        let Ok(Event { method, params }) = serde_json::from_str(message) else {
            return;
        };
        let line = if method.starts_with("Network.") {
            self.requests.apply(&method, params.get())
        } else {
            console::line(&method, params.get())
        };
        if let Some(line) = line {
            queue.push(line);
        }
    }
}
