//! Tests reports of pages that did not load.

use tokio::time::Instant;

use super::*;

const ERROR: &str = "net::ERR_NAME_NOT_RESOLVED";

/// A client that listens to the page `T` on the session `S`.
struct Listener {
    fixture: BrokerFixture,
    client: Connection,
}

impl Listener {
    async fn new() -> Listener {
        let mut fixture = BrokerFixture::new().await;
        let mut client = fixture.client("A").await;
        fixture.tab_opens("T", "default");
        fixture.child(&mut client, "A", "S", "T").await;
        fixture.pass(&client, "S", "Page.enable", &json!({}));
        Listener { fixture, client }
    }

    fn event(&self, method: &str, params: &Value) {
        self.fixture
            .browser_sends(&json!({"method": method, "params": params, "sessionId": "S"}));
    }

    /// Sends the event about a request for the document of a frame.
    fn requested(&self, request: &str, frame: &str) {
        self.event(
            "Network.requestWillBeSent",
            &json!({"requestId": request, "loaderId": request, "frameId": frame,
                "type": "Document", "request": {"url": "https://a.example/"}}),
        );
    }

    fn failed(&self, request: &str) {
        self.event(
            "Network.loadingFailed",
            &json!({"requestId": request, "type": "Document", "errorText": ERROR}),
        );
    }

    /// Navigates, and fails with a reply of the browser.
    fn navigates(&mut self, result: &Value) {
        let url = json!({"url": "https://a.example/"});
        let call = self.fixture.pass(&self.client, "S", "Page.navigate", &url);
        self.fixture
            .browser_sends(&json!({"id": call["id"], "result": result, "sessionId": "S"}));
    }

    /// Returns what the next message is: the method of an event, or `reply`.
    async fn next(&mut self) -> String {
        let message = self.client.message().await;
        message["method"].as_str().unwrap_or("reply").to_owned()
    }

    async fn assert_next(&mut self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.next().await, *expected);
        }
    }

    /// Asserts that no message waits for the client.
    async fn assert_silent(&mut self) {
        self.event("Page.after", &json!({}));
        self.assert_next(&["Page.after"]).await;
    }
}

/// Rule F1.
#[tokio::test]
async fn a_failure_is_reported_when_the_browser_shows_the_error_page() {
    let mut listener = Listener::new().await;
    listener.requested("1", "T");
    listener.failed("1");
    listener.navigates(&json!({"frameId": "T", "loaderId": "1", "errorText": ERROR}));
    listener.assert_next(&["Network.requestWillBeSent"]).await;
    listener.assert_silent().await;

    // Another frame, and the end of the previous page.
    listener.event("Page.frameNavigated", &json!({"frame": {"id": "F"}}));
    listener.event("Page.frameStoppedLoading", &json!({"frameId": "T"}));
    listener
        .assert_next(&["Page.frameNavigated", "Page.frameStoppedLoading"])
        .await;
    listener.assert_silent().await;

    listener.event("Page.frameNavigated", &json!({"frame": {"id": "T"}}));
    listener
        .assert_next(&["Network.loadingFailed", "Page.frameNavigated"])
        .await;
    listener.event("Page.frameStoppedLoading", &json!({"frameId": "T"}));
    listener
        .assert_next(&["Page.frameStoppedLoading", "reply"])
        .await;
}

/// Rule F1.
#[tokio::test]
async fn only_failures_that_an_error_page_follows_are_delayed() {
    let mut listener = Listener::new().await;
    listener.requested("1", "T");
    listener.requested("2", "F");
    listener
        .assert_next(&["Network.requestWillBeSent"; 2])
        .await;
    // The document of a frame.
    listener.failed("2");
    listener.assert_next(&["Network.loadingFailed"]).await;
    listener.event(
        "Network.loadingFailed",
        &json!({"requestId": "1", "type": "Document", "errorText": "net::ERR_ABORTED", "canceled": true}),
    );
    listener.assert_next(&["Network.loadingFailed"]).await;
    for result in [
        json!({"frameId": "T", "loaderId": "1"}),
        json!({"frameId": "T", "loaderId": "1", "errorText": "net::ERR_ABORTED"}),
        json!({"frameId": "T", "errorText": ERROR}),
    ] {
        listener.navigates(&result);
        assert_eq!(listener.client.message().await["result"], result);
    }
    // Without these events, the client does not learn about the error page.
    let client = &listener.client;
    listener
        .fixture
        .pass(client, "S", "Page.disable", &json!({}));
    listener.navigates(&json!({"frameId": "T", "loaderId": "1", "errorText": ERROR}));
    listener.assert_next(&["reply"]).await;
}

/// Rule F1.
#[tokio::test]
async fn delays_end_with_another_load_with_the_session_or_in_time() {
    let failure = json!({"frameId": "T", "loaderId": "1", "errorText": ERROR});
    let mut listener = Listener::new().await;
    listener.requested("1", "T");
    listener.failed("1");
    listener.navigates(&failure);
    listener.requested("2", "T");
    listener
        .assert_next(&[
            "Network.requestWillBeSent",
            "Network.loadingFailed",
            "reply",
            "Network.requestWillBeSent",
        ])
        .await;

    listener.failed("2");
    listener.navigates(&failure);
    let broker = Arc::clone(&listener.fixture.broker);
    broker.send_due(Instant::now());
    listener.assert_silent().await;
    broker.send_due(Instant::now() + Duration::from_secs(3));
    listener
        .assert_next(&["Network.loadingFailed", "reply"])
        .await;

    listener.navigates(&failure);
    listener.fixture.browser_sends(
        &json!({"method": "Target.detachedFromTarget", "sessionId": "A", "params": {"sessionId": "S"}}),
    );
    listener
        .assert_next(&["reply", "Target.detachedFromTarget"])
        .await;
}

/// Rule F1.
#[tokio::test(start_paused = true)]
async fn a_delay_ends_if_no_error_page_follows() {
    let mut listener = Listener::new().await;
    let broker = Arc::clone(&listener.fixture.broker);
    listener.navigates(&json!({"frameId": "T", "loaderId": "1", "errorText": ERROR}));
    tokio::select! {
        never = broker.watch_delays() => match never {},
        next = listener.next() => assert_eq!(next, "reply"),
    }
}

/// Rule M18.
#[tokio::test]
async fn the_reason_is_that_of_the_address_which_a_redirect_reached() {
    let (browser, ours) = std::io::pipe().expect("a pipe");
    let sender = Sender::from_owned_fd(OwnedFd::from(ours)).expect("a writing end");
    sender.writable().await.expect("the pipe is open");
    let budget = Budget::new("this test", 256 << 20);
    let hint = NavigationErrorHint::new(|url| Some(url.unwrap_or("anything").to_owned()));
    let broker = Broker::new(
        PipeWriter::new(sender, &budget),
        budget,
        file_access(),
        LIMITS,
        Some(hint),
    );
    let mut fixture = BrokerFixture {
        broker: Arc::new(broker),
        browser,
    };
    let mut client = fixture.client("A").await;
    fixture.tab_opens("T", "default");
    fixture.child(&mut client, "A", "S", "T").await;
    let mut listener = Listener { fixture, client };
    let error = "net::ERR_TUNNEL_CONNECTION_FAILED";
    listener.requested("1", "T");
    listener.event(
        "Network.loadingFailed",
        &json!({"requestId": "1", "type": "Document", "errorText": error}),
    );
    listener.assert_next(&["Network.requestWillBeSent"]).await;
    let event = listener.client.message().await;
    assert_eq!(
        event["params"]["errorText"],
        format!("{error} (https://a.example)")
    );
    let url = json!({"url": "http://first.example/path"});
    for (loader, reason) in [("1", "https://a.example"), ("2", "http://first.example")] {
        let Listener { fixture, client } = &mut listener;
        let call = fixture.pass(client, "S", "Page.navigate", &url);
        let result = json!({"frameId": "T", "loaderId": loader, "errorText": error});
        fixture.browser_sends(&json!({"id": call["id"], "result": result, "sessionId": "S"}));
        assert_eq!(
            client.message().await["result"]["errorText"],
            format!("{error} ({reason})")
        );
    }
}
