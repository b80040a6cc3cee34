//! A fuzz target for conversations of two clients with the browser. A model records which client
//! may use a session, and checks everything that the broker sends.
//!
//! An input is a script with one step per line: `1` or `2` and a message of that client, `b` and a
//! message of the browser, `o` and the beginning of one that did not fit, `r` for both clients to
//! read, or `x` and a client that leaves. In messages of the browser, `$1` is the id of the last
//! command, `$2` that of the one before.

mod script;

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use hearth_fuzz::Target;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use serde::Deserialize;

use super::*;
use crate::broker::policy::{Rule, check_params, rule_for, string_in};
use crate::cdp::envelope::ClientCall;

/// Methods that must not reach the browser, whatever the rules are.
const NEVER_SENT: &[&str] = &[
    "Browser.close",
    "Browser.crash",
    "Target.exposeDevToolsProtocol",
    "Target.sendMessageToTarget",
    "Target.setRemoteLocations",
    "Extensions.loadUnpacked",
    "Tethering.bind",
];

/// The session's budget. It is small, so that clients that do not read exhaust it.
const BUFFER_BYTES: u64 = 8 * 1024;

/// The member of params or of a result that opens a session.
#[derive(Deserialize)]
struct OpensSession {
    #[serde(rename = "sessionId")]
    session: Option<String>,
}

/// A client, and the ids of its calls.
struct FuzzedClient {
    connection: Option<Connection>,
    root: &'static str,
    calls: HashMap<i64, usize>,
    answers: HashMap<i64, usize>,
}

/// The client whose call the broker handles.
#[derive(Clone, Copy)]
struct Sender<'a> {
    client: usize,
    call: &'a ClientCall<'a>,
}

/// A broker with two clients, and the model.
struct Conversation {
    broker: Arc<Broker>,
    budget: Budget,
    browser: std::io::PipeReader,
    unread: Vec<u8>,
    clients: [FuzzedClient; 2],
    /// The commands that the browser received, with their sessions.
    commands: Vec<(i64, Option<String>)>,
    /// The clients that the browser has opened a session for, by its id.
    owners: HashMap<String, HashSet<usize>>,
}

impl Conversation {
    async fn new() -> Conversation {
        let (browser, ours) = std::io::pipe().expect("a pipe");
        fcntl(&browser, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("it is a pipe");
        let sender = tokio::net::unix::pipe::Sender::from_owned_fd(OwnedFd::from(ours));
        let sender = sender.expect("a writing end");
        sender.writable().await.expect("the pipe is open");
        let budget = Budget::new("this test", BUFFER_BYTES);
        let broker = Arc::new(Broker::new(
            PipeWriter::new(sender, &budget),
            budget.clone(),
            file_access(),
            LIMITS,
            None,
        ));
        let client = |root| FuzzedClient {
            connection: None,
            root,
            calls: HashMap::new(),
            answers: HashMap::new(),
        };
        let mut conversation = Conversation {
            broker,
            budget,
            browser,
            unread: Vec::new(),
            clients: [client("R1"), client("R2")],
            commands: Vec::new(),
            owners: HashMap::new(),
        };
        for number in 0..2 {
            conversation.attach(number);
        }
        for line in [
            r#"{"method":"Target.targetCreated","params":{"targetInfo":{"targetId":"T1","type":"page","browserContextId":"C0"}}}"#,
            r#"{"id":$1,"result":{"sessionId":"own-T1"}}"#,
            r#"{"method":"Target.attachedToTarget","sessionId":"R1","params":{"sessionId":"S1","targetInfo":{"targetId":"T1","type":"page"},"waitingForDebugger":false}}"#,
            r#"{"method":"Target.attachedToTarget","sessionId":"R2","params":{"sessionId":"S2","targetInfo":{"targetId":"T1","type":"page"},"waitingForDebugger":false}}"#,
        ] {
            conversation.browser_sends(line);
        }
        conversation
    }

    fn attach(&mut self, number: usize) {
        let root = self.clients[number].root;
        let mut attached = self.broker.request_client(browser_client()).expect("sent");
        self.read_commands(None);
        self.browser_sends(&format!(
            r#"{{"method":"Target.attachedToTarget","params":{{"sessionId":"{root}","targetInfo":{{"targetId":"browser of {root}","type":"browser"}},"waitingForDebugger":false}}}}"#
        ));
        self.browser_sends(&format!(r#"{{"id":$1,"result":{{"sessionId":"{root}"}}}}"#));
        let client = attached.try_recv().expect("answered").expect("attached");
        let (sender, receiver) = client.split();
        self.clients[number].connection = Some(Connection { sender, receiver });
        self.owners.insert(root.to_owned(), HashSet::from([number]));
    }

    fn step(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("1", text)) => self.client_sends(0, text),
            Some(("2", text)) => self.client_sends(1, text),
            Some(("b", text)) => self.browser_sends(text),
            Some(("o", text)) => {
                let beginning = self.with_ids(text);
                self.broker.handle_oversized(beginning.as_bytes());
            }
            Some(("r", _)) => self.read_messages(),
            Some(("x", "1")) => self.clients[0].connection = None,
            Some(("x", "2")) => self.clients[1].connection = None,
            _ => {}
        }
        self.read_commands(None);
        assert!(self.budget.used() <= BUFFER_BYTES);
    }

    /// Replaces `$1`, `$2` and `$3` with the ids of recent commands.
    fn with_ids(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, (id, _)) in ["$1", "$2", "$3"].iter().zip(self.commands.iter().rev()) {
            text = text.replace(name, &id.to_string());
        }
        text
    }

    fn client_sends(&mut self, number: usize, text: &str) {
        let client = &mut self.clients[number];
        let Some(connection) = &client.connection else {
            return;
        };
        let call = ClientCall::parse(text);
        let id = call
            .as_ref()
            .map_or_else(|bad| bad.id, |call| Some(call.id));
        if let Some(id) = id {
            *client.calls.entry(id).or_default() += 1;
        }
        // An error means that the broker has closed the client.
        let _ = connection.sender.send(text);
        let sender = call.as_ref().ok().map(|call| Sender {
            client: number,
            call,
        });
        self.read_commands(sender);
    }

    fn browser_sends(&mut self, text: &str) {
        let text = self.with_ids(text);
        if let Ok(message) = BrowserMessage::parse(&text) {
            self.record_owners(&message);
        }
        self.broker.handle_frame(&text);
        self.read_commands(None);
    }

    /// Records that a session which the browser opens belongs to the clients of the session above.
    fn record_owners(&mut self, message: &BrowserMessage<'_>) {
        let above = match message.id {
            Some(id) => {
                let command = self.commands.iter().find(|(of, _)| *of == i64::from(id));
                command.and_then(|(_, session)| session.clone())
            }
            None => message.session.as_deref().map(str::to_owned),
        };
        let owners = above.and_then(|above| self.owners.get(&above).cloned());
        for raw in [message.params, message.result] {
            let typed = raw.and_then(|raw| serde_json::from_str::<OpensSession>(raw.get()).ok());
            let names = [
                typed.and_then(|typed| typed.session),
                string_in(raw, "sessionId"),
            ];
            for name in names.into_iter().flatten() {
                let known = self.owners.entry(name).or_default();
                known.extend(owners.iter().flatten());
            }
        }
    }

    fn may_use(&self, client: usize, session: &str) -> bool {
        let owners = self.owners.get(session);
        owners.is_some_and(|owners| owners.contains(&client))
    }

    /// Reads and checks what the broker has written to the browser.
    fn read_commands(&mut self, sender: Option<Sender<'_>>) {
        let mut part = [0; 4096];
        while let Ok(count @ 1..) = self.browser.read(&mut part) {
            self.unread.extend_from_slice(&part[..count]);
        }
        while let Some(end) = self.unread.iter().position(|byte| *byte == 0) {
            let frame: Vec<u8> = self.unread.drain(..=end).collect();
            let text = std::str::from_utf8(&frame[..end]).expect("UTF-8");
            self.check_command(text, sender);
        }
    }

    fn check_command(&mut self, text: &str, sender: Option<Sender<'_>>) {
        let command = ClientCall::parse(text).expect("the broker writes valid calls");
        let is_new = self.commands.iter().all(|(id, _)| *id != command.id);
        assert!(is_new, "an id is used twice: {text}");
        assert!(!NEVER_SENT.contains(&&*command.method), "{text}");
        match rule_for(&command.method) {
            Rule::Deny(_) | Rule::CloseClient => panic!("a denied call was forwarded: {text}"),
            Rule::Check(what, _) => {
                let checked =
                    check_params(what, command.params, &file_access(), ClientOrigin::External)
                        .unwrap_or_else(|reason| panic!("forwarded although {reason}: {text}"));
                let sent = command.params.expect("checked calls have params").get();
                assert_eq!(checked, sent, "the checked params are forwarded");
            }
            Rule::Pass | Rule::Track(_) => {}
        }
        let session = command.session.as_deref();
        if let (Some(session), Some(Sender { client, call })) = (session, sender)
            && (&call.method, call.session.as_deref()) == (&command.method, Some(session))
        {
            assert!(
                self.may_use(client, session),
                "client {client} reached the session of another one: {text}"
            );
        }
        self.commands.push((command.id, session.map(str::to_owned)));
    }

    /// Reads and checks what the broker has sent to the clients.
    fn read_messages(&mut self) {
        for number in 0..2 {
            while let Some(text) = self.next_message(number) {
                self.check_message(number, &text);
            }
        }
    }

    fn next_message(&mut self, number: usize) -> Option<String> {
        let receiver = &mut self.clients[number].connection.as_mut()?.receiver;
        let next = pin!(receiver.next()).poll(&mut Context::from_waker(Waker::noop()));
        match next {
            Poll::Ready(Outgoing::Message(text)) => Some(text),
            Poll::Ready(Outgoing::Close { reason, .. }) => {
                assert!(reason.len() <= 123, "{reason}");
                None
            }
            Poll::Pending => None,
        }
    }

    fn check_message(&mut self, number: usize, text: &str) {
        #[derive(Deserialize)]
        struct Message {
            id: Option<i64>,
            error: Option<serde::de::IgnoredAny>,
            #[serde(rename = "sessionId")]
            session: Option<String>,
        }
        let message: Message = serde_json::from_str(text).expect("clients get JSON objects");
        // The broker's errors repeat the session that the client named.
        if let (Some(session), None) = (&message.session, &message.error) {
            assert!(
                self.may_use(number, session),
                "client {number} got a message of another one: {text}"
            );
        }
        if let Some(id) = message.id {
            let client = &mut self.clients[number];
            let answers = client.answers.entry(id).or_default();
            *answers += 1;
            let calls = client.calls.get(&id).copied().unwrap_or(0);
            assert!(*answers <= calls, "more answers than calls: {text}");
        }
    }

    /// Ends everything. No reserved byte is left.
    fn end(mut self) {
        self.read_messages();
        for number in 0..2 {
            self.clients[number].connection = None;
            self.read_commands(None);
        }
        self.broker.shut_down(1001, "the test ends");
        let Conversation { broker, budget, .. } = self;
        drop(broker);
        assert_eq!(budget.used(), 0);
    }
}

/// Rules M1, M2, M5, P4.
#[test]
fn clients_reach_only_what_the_policy_allows() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let target = Target {
        name: "cdp-conversation",
        words: &[
            "\n1 {\"id\":1,\"method\":\"",
            "\nb {\"id\":$1,\"result\":{",
            "\"sessionId\":\"S1\"",
            "\"sessionId\":\"R2\"",
            "\"flatten\":true",
            "\\u002e",
        ],
        inputs: 300,
        max_bytes: 16 * 1024,
    };
    target.run(script::generate, |input| {
        let script = String::from_utf8_lossy(input);
        runtime.block_on(async {
            let mut conversation = Conversation::new().await;
            for line in script.lines() {
                conversation.step(line);
            }
            conversation.end();
        });
    });
}
