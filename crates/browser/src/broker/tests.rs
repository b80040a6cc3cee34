//! The broker between real queues and a real pipe; the browser's side of the conversation is written out.

use std::io::Read;
use std::os::fd::OwnedFd;

use serde_json::{Value, json};
use tokio::net::unix::pipe::Sender;

use super::client::{ClientReceiver, ClientSender, Outgoing};
use super::*;

/// A broker, and the browser's ends of it.
struct Scene {
    broker: Arc<Broker>,
    browser: std::io::PipeReader,
}

struct Connection {
    sender: ClientSender,
    receiver: ClientReceiver,
}

impl Scene {
    async fn new() -> Scene {
        let (browser, ours) = std::io::pipe().expect("a pipe");
        let sender = Sender::from_owned_fd(OwnedFd::from(ours)).expect("a writing end");
        sender.writable().await.expect("the pipe is open");
        Scene { broker: Arc::new(Broker::new(PipeWriter::new(sender))), browser }
    }

    /// The next command that the browser gets.
    fn command(&mut self) -> Value {
        let mut frame = Vec::new();
        let mut byte = [0];
        loop {
            self.browser.read_exact(&mut byte).expect("a command");
            if byte == [0] {
                return serde_json::from_slice(&frame).expect("JSON");
            }
            frame.push(byte[0]);
        }
    }

    fn browser_says(&self, message: &Value) {
        self.broker.take_frame(&message.to_string());
    }

    /// A client whose root session is `root`.
    async fn client(&mut self, root: &str) -> Connection {
        let client = self.broker.request_client(Root::Browser).expect("sent");
        let command = self.command();
        assert_eq!(command["method"], "Target.attachToBrowserTarget");
        self.browser_says(&json!({"method": "Target.attachedToTarget", "params": {
            "sessionId": root, "targetInfo": {"targetId": format!("browser of {root}"), "type": "browser"},
            "waitingForDebugger": false}}));
        self.browser_says(&json!({"id": command["id"], "result": {"sessionId": root}}));
        let (sender, receiver) = client.await.expect("answered").expect("attached").split();
        Connection { sender, receiver }
    }

    /// The browser opens a session for `target` below `parent`.
    async fn child(&mut self, connection: &mut Connection, parent: &str, session: &str, target: &str) {
        self.browser_says(&json!({"method": "Target.attachedToTarget", "sessionId": parent, "params": {
            "sessionId": session, "targetInfo": {"targetId": target, "type": "page"}, "waitingForDebugger": false}}));
        assert_eq!(connection.message().await["params"]["sessionId"], session);
    }

    /// A tab opens, and the broker attaches a session of its own to it.
    fn tab_opens(&mut self, target: &str, context: &str) {
        self.browser_says(&json!({"method": "Target.targetCreated", "params": {"targetInfo": {
            "targetId": target, "type": "page", "browserContextId": context}}}));
        let attach = self.command();
        assert_eq!(
            (&attach["method"], &attach["params"]["targetId"]),
            (&json!("Target.attachToTarget"), &json!(target))
        );
        self.browser_says(&json!({"id": attach["id"], "result": {"sessionId": format!("own-{target}")}}));
    }

    fn current_tab(&self) -> Option<String> {
        self.broker.current_tab().borrow().clone()
    }
}

impl Connection {
    fn send(&self, message: &Value) {
        self.sender.send(message.to_string()).expect("the client is there");
    }

    async fn next(&mut self) -> Outgoing {
        tokio::time::timeout(Duration::from_secs(5), self.receiver.next()).await.expect("something for the client")
    }

    async fn message(&mut self) -> Value {
        match self.next().await {
            Outgoing::Message(text) => serde_json::from_str(&text).expect("JSON"),
            Outgoing::Close { code, reason } => panic!("closed: {code} {reason}"),
        }
    }

    async fn close(&mut self) -> (u16, String) {
        match self.next().await {
            Outgoing::Close { code, reason } => (code, reason),
            Outgoing::Message(text) => panic!("a message: {text}"),
        }
    }
}

#[tokio::test]
async fn two_clients_may_use_the_same_id_and_get_their_own_replies() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    let mut two = scene.client("R2").await;
    one.send(&json!({"id": 7, "method": "A.one"}));
    two.send(&json!({"id": 7, "method": "A.two"}));
    let (first, second) = (scene.command(), scene.command());
    assert_eq!((&first["sessionId"], &second["sessionId"]), (&json!("R1"), &json!("R2")));
    assert_ne!(first["id"], second["id"]);
    scene.browser_says(&json!({"id": second["id"], "result": {"for": "two"}, "sessionId": "R2"}));
    scene.browser_says(&json!({"id": first["id"], "result": {"for": "one"}, "sessionId": "R1"}));
    assert_eq!(one.message().await, json!({"id": 7, "result": {"for": "one"}}));
    assert_eq!(two.message().await, json!({"id": 7, "result": {"for": "two"}}));
}

#[tokio::test]
async fn a_reply_on_a_named_session_names_it_also_when_the_browser_does_not() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    scene.child(&mut one, "R1", "S1", "T1").await;
    one.send(&json!({"id": -9999, "method": "A.b", "sessionId": "S1"}));
    let command = scene.command();
    assert_eq!(command["sessionId"], "S1");
    scene.browser_says(&json!({"id": command["id"], "error": {"code": -32001, "message": "m"}}));
    let expected = json!({"id": -9999, "error": {"code": -32001, "message": "m"}, "sessionId": "S1"});
    assert_eq!(one.message().await, expected);
}

#[tokio::test]
async fn events_go_to_the_owner_of_their_session_and_roots_are_not_named() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    let mut two = scene.client("R2").await;
    scene.child(&mut two, "R2", "S2", "T2").await;
    scene.browser_says(&json!({"method": "A.onRoot", "params": {"x": 1}, "sessionId": "R1"}));
    scene.browser_says(&json!({"method": "A.onChild", "params": {"x": 2}, "sessionId": "S2"}));
    scene.browser_says(&json!({"method": "A.nobody", "params": {}, "sessionId": "S3"}));
    assert_eq!(one.message().await, json!({"method": "A.onRoot", "params": {"x": 1}}));
    assert_eq!(two.message().await, json!({"method": "A.onChild", "params": {"x": 2}, "sessionId": "S2"}));
}

#[tokio::test]
async fn another_clients_session_is_not_there() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    let mut two = scene.client("R2").await;
    scene.child(&mut two, "R2", "S2", "T2").await;
    for session in ["S2", "R2", "unknown"] {
        one.send(&json!({"id": 1, "method": "A.b", "sessionId": session}));
        let answer = one.message().await;
        assert_eq!(answer, json!({"id": 1, "error": {"code": -32001, "message": NO_SESSION_MESSAGE}}), "{session}");
    }
}

#[tokio::test]
async fn a_session_that_goes_takes_its_subtree_along_and_its_calls_are_answered_after_the_event() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    scene.child(&mut one, "R1", "S1", "T1").await;
    scene.child(&mut one, "S1", "S11", "T11").await;
    one.send(&json!({"id": 1, "method": "A.b", "sessionId": "S11"}));
    let late = scene.command()["id"].clone();
    scene.browser_says(
        &json!({"method": "Target.detachedFromTarget", "params": {"sessionId": "S1"}, "sessionId": "R1"}),
    );
    assert_eq!(one.message().await["method"], "Target.detachedFromTarget");
    let failure = json!({"id": 1, "error": {"code": -32001, "message": NO_SESSION_MESSAGE}, "sessionId": "S11"});
    assert_eq!(one.message().await, failure);
    // Neither a late reply nor a late event finds anyone, and the session is not there any more.
    scene.browser_says(&json!({"id": late, "result": {}, "sessionId": "S11"}));
    scene.browser_says(&json!({"method": "A.late", "params": {}, "sessionId": "S11"}));
    one.send(&json!({"id": 2, "method": "A.b", "sessionId": "S11"}));
    assert_eq!(one.message().await["error"]["code"], -32001);
}

#[tokio::test]
async fn a_client_cannot_make_another_ones_session_end() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    let mut two = scene.client("R2").await;
    scene.child(&mut two, "R2", "S2", "T2").await;
    scene.browser_says(
        &json!({"method": "Target.detachedFromTarget", "params": {"sessionId": "S2"}, "sessionId": "R1"}),
    );
    assert_eq!(one.message().await["method"], "Target.detachedFromTarget");
    two.send(&json!({"id": 1, "method": "A.b", "sessionId": "S2"}));
    assert_eq!(scene.command()["sessionId"], "S2");
}

#[tokio::test]
async fn closing_the_browser_on_any_session_ends_that_client_only() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    let mut two = scene.client("R2").await;
    scene.child(&mut one, "R1", "S1", "T1").await;
    one.sender.send(r#"{"id":3,"method":"Browser\u002eclose","sessionId":"S1"}"#).expect("taken");
    assert_eq!(one.message().await, json!({"id": 3, "result": {}, "sessionId": "S1"}));
    assert_eq!(one.close().await.0, 1000);
    let detach = scene.command();
    assert_eq!(detach["method"], "Target.detachFromTarget");
    assert_eq!(detach["params"]["sessionId"], "R1");
    assert_eq!(one.sender.send("{}"), Err(client::Closed));
    two.send(&json!({"id": 1, "method": "A.b"}));
    assert_eq!(scene.command()["method"], "A.b");
    scene.browser_says(&json!({"method": "A.still", "params": {}, "sessionId": "R2"}));
    assert_eq!(two.message().await["method"], "A.still");
}

#[tokio::test]
async fn contexts_go_with_the_client_that_made_them_the_half_made_one_too() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    for id in 0..3 {
        one.send(&json!({"id": id, "method": "Target.createBrowserContext"}));
    }
    let (kept, disposed, late) = (scene.command(), scene.command(), scene.command());
    scene.browser_says(&json!({"id": kept["id"], "result": {"browserContextId": "C1"}, "sessionId": "R1"}));
    scene.browser_says(&json!({"id": disposed["id"], "result": {"browserContextId": "C2"}, "sessionId": "R1"}));
    one.message().await;
    one.message().await;
    one.send(&json!({"id": 4, "method": "Target.disposeBrowserContext", "params": {"browserContextId": "C2"}}));
    let dispose = scene.command();
    scene.browser_says(&json!({"id": dispose["id"], "result": {}, "sessionId": "R1"}));
    drop(one.receiver);
    let (dispose, detach) = (scene.command(), scene.command());
    assert_eq!(dispose["params"], json!({"browserContextId": "C1"}));
    assert_eq!(detach["method"], "Target.detachFromTarget");
    scene.browser_says(&json!({"id": late["id"], "result": {"browserContextId": "C3"}, "sessionId": "R1"}));
    assert_eq!(scene.command()["params"], json!({"browserContextId": "C3"}));
}

#[tokio::test]
async fn refused_methods_do_not_reach_the_browser() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    scene.child(&mut one, "R1", "S1", "T1").await;
    for (method, params) in [
        ("Browser.crash", json!({})),
        ("Target.attachToTarget", json!({"targetId": "T1"})),
        ("Target.createBrowserContext", json!({"proxyServer": "direct://"})),
    ] {
        one.send(&json!({"id": 1, "method": method, "params": params, "sessionId": "S1"}));
        let answer = one.message().await;
        assert_eq!((&answer["error"]["code"], &answer["sessionId"]), (&json!(-32000), &json!("S1")), "{method}");
    }
    one.send(&json!({"id": 2, "method": "A.after"}));
    assert_eq!(scene.command()["method"], "A.after");
}

#[tokio::test]
async fn another_clients_browser_session_is_no_target() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    let _two = scene.client("R2").await;
    let attach = |to: &str| json!({"id": 1, "method": "Target.attachToTarget", "params": {"targetId": format!("browser of {to}"), "flatten": true}});
    one.send(&attach("R2"));
    assert_eq!(one.message().await["error"]["code"], -32000);
    one.send(&attach("R1"));
    assert_eq!(scene.command()["params"]["targetId"], "browser of R1");
}

#[tokio::test]
async fn what_is_no_call_is_answered_and_the_client_stays() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    one.sender.send("nonsense").expect("taken");
    assert_eq!(one.message().await["error"]["code"], -32700);
    one.send(&json!({"id": "7", "method": "A.b"}));
    assert_eq!(one.message().await["error"]["code"], -32600);
    one.send(&json!({"id": 1, "method": "A.b"}));
    assert_eq!(scene.command()["method"], "A.b");
}

#[tokio::test]
async fn a_message_that_would_stop_chromium_ends_the_client() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    one.sender.send(" ".repeat(client::MAX_REQUEST_BYTES + 1)).expect("taken");
    assert_eq!(one.close().await.0, 1009);
}

#[tokio::test]
async fn calls_to_a_crashed_target_are_answered_until_it_is_navigated() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    scene.child(&mut one, "R1", "S1", "T1").await;
    let evaluate = json!({"id": 1, "method": "Runtime.evaluate", "sessionId": "S1"});
    one.send(&evaluate);
    scene.command();
    scene.browser_says(&json!({"method": "Target.targetCrashed", "params": {"targetId": "T1"}}));
    let crashed = json!({"id": 1, "error": {"code": -32001, "message": "Target crashed"}, "sessionId": "S1"});
    assert_eq!(one.message().await, crashed);
    one.send(&evaluate);
    assert_eq!(one.message().await, crashed);
    one.send(&json!({"id": 2, "method": "Page.navigate", "params": {"url": "about:blank"}, "sessionId": "S1"}));
    assert_eq!(scene.command()["method"], "Page.navigate");
    one.send(&evaluate);
    assert_eq!(scene.command()["method"], "Runtime.evaluate");
}

#[tokio::test]
async fn a_crash_that_is_announced_late_does_not_hit_the_navigation_after_it() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    scene.child(&mut one, "R1", "S1", "T1").await;
    one.send(&json!({"id": 1, "method": "Page.navigate", "params": {"url": "about:blank"}, "sessionId": "S1"}));
    let navigate = scene.command();
    scene.browser_says(&json!({"method": "Target.targetCrashed", "params": {"targetId": "T1"}}));
    scene.browser_says(&json!({"id": navigate["id"], "result": {"frameId": "F"}, "sessionId": "S1"}));
    assert_eq!(one.message().await["result"]["frameId"], "F");
    one.send(&json!({"id": 2, "method": "Runtime.evaluate", "sessionId": "S1"}));
    assert_eq!(scene.command()["method"], "Runtime.evaluate");
}

#[tokio::test]
async fn a_navigation_that_loads_nothing_leaves_a_crashed_target_crashed() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    scene.child(&mut one, "R1", "S1", "T1").await;
    scene.browser_says(&json!({"method": "Target.targetCrashed", "params": {"targetId": "T1"}}));
    one.send(&json!({"id": 2, "method": "Page.navigate", "params": {"url": "x"}, "sessionId": "S1"}));
    let navigate = scene.command();
    one.send(&json!({"id": 3, "method": "Runtime.evaluate", "sessionId": "S1"}));
    scene.command();
    scene.browser_says(&json!({"id": navigate["id"], "error": {"code": -32000, "message": "m"}, "sessionId": "S1"}));
    assert_eq!(one.message().await["id"], 2);
    assert_eq!(one.message().await["error"]["message"], "Target crashed");
}

#[tokio::test]
async fn a_client_whose_root_the_browser_ends_is_told() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    scene.browser_says(&json!({"method": "Target.detachedFromTarget", "params": {"sessionId": "R1"}}));
    assert_eq!(one.close().await.0, 1001);
}

#[tokio::test]
async fn when_the_browser_is_gone_everyone_is_told_and_nobody_waits() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    let coming = scene.broker.request_client(Root::Browser).expect("sent");
    scene.broker.shut_down(1011, "browser crashed (signal 9)");
    assert_eq!(one.close().await, (1011, "browser crashed (signal 9)".to_owned()));
    assert!(coming.await.is_err());
    assert!(scene.broker.request_client(Root::Browser).is_err());
}

#[tokio::test]
async fn a_client_that_nobody_waits_for_any_more_leaves_nothing() {
    let mut scene = Scene::new().await;
    drop(scene.broker.request_client(Root::Browser).expect("sent"));
    let command = scene.command();
    scene.browser_says(&json!({"id": command["id"], "result": {"sessionId": "R1"}}));
    assert_eq!(scene.command()["params"], json!({"sessionId": "R1"}));
}

#[tokio::test]
async fn the_current_tab_follows_what_is_opened_activated_navigated_and_closed() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    for target in ["T1", "T2", "T3"] {
        scene.tab_opens(target, "default");
    }
    assert_eq!(scene.current_tab().as_deref(), Some("T3"));
    one.send(&json!({"id": 1, "method": "Target.activateTarget", "params": {"targetId": "T1"}}));
    assert_eq!(scene.current_tab().as_deref(), Some("T1"));
    scene.child(&mut one, "R1", "S2", "T2").await;
    one.send(&json!({"id": 2, "method": "Page.navigate", "params": {"url": "x"}, "sessionId": "S2"}));
    assert_eq!(scene.current_tab().as_deref(), Some("T2"));
    scene.browser_says(&json!({"method": "Target.targetDestroyed", "params": {"targetId": "T2"}}));
    assert_eq!(scene.current_tab().as_deref(), Some("T1"));
    scene.browser_says(&json!({"method": "Target.targetDestroyed", "params": {"targetId": "T1"}}));
    scene.browser_says(&json!({"method": "Target.targetDestroyed", "params": {"targetId": "T3"}}));
    assert_eq!(scene.current_tab(), None);
}

#[tokio::test]
async fn a_tab_counts_as_closed_when_its_client_is_told_so() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    scene.tab_opens("T1", "default");
    one.send(&json!({"id": 1, "method": "Target.closeTarget", "params": {"targetId": "T1"}}));
    let close = scene.command();
    assert!(scene.broker.default_context_has_a_tab());
    scene.browser_says(&json!({"id": close["id"], "result": {"success": true}, "sessionId": "R1"}));
    one.message().await;
    assert!(!scene.broker.default_context_has_a_tab());
    assert_eq!(scene.current_tab(), None);
}

#[tokio::test]
async fn the_tabs_of_a_clients_contexts_are_closed_when_it_leaves() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    scene.tab_opens("T1", "default");
    one.send(&json!({"id": 1, "method": "Target.createBrowserContext"}));
    let create = scene.command();
    scene.browser_says(&json!({"id": create["id"], "result": {"browserContextId": "C1"}, "sessionId": "R1"}));
    one.message().await;
    scene.tab_opens("T2", "C1");
    drop(one.sender);
    assert_eq!(scene.current_tab().as_deref(), Some("T1"));
}
