//! The messages between a viewer's page and the server.
//!
//! The page's side is in `page/`: `connection.js` and the callers of its `send`. Both sides are
//! compiled into one executable, so the protocol does not need versions.

use bytes::{BufMut, Bytes, BytesMut};
use hearth_browser::{Dialog, Frame, Input, Key, Mouse, Tab, Touch, Wheel};
use hearth_contract::DestroyedReason;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::ViewerAccess;

/// A text message for viewers. Cloning it does not copy the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(Bytes);

impl Text {
    fn of(message: &Value) -> Text {
        Text(message.to_string().into())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the text as UTF-8 without copying it.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

/// The reason and time of a session's end, for its viewers.
pub(crate) struct SessionEnded {
    pub reason: DestroyedReason,
    /// The reason as a sentence.
    pub sentence: String,
    /// The time in ISO 8601.
    pub at: String,
}

/// Encodes the first message, which contains the access that the link grants.
pub(crate) fn hello(access: ViewerAccess) -> Text {
    Text::of(&json!({ "type": "hello", "interactive": access == ViewerAccess::Control }))
}

/// Encodes the list of open tabs.
pub(super) fn tabs(tabs: &[Tab]) -> Text {
    let tab = |tab: &Tab| json!({ "id": tab.id, "title": tab.title, "url": tab.url, "current": tab.is_current, "crashed": tab.has_crashed });
    let tabs: Vec<Value> = tabs.iter().map(tab).collect();
    Text::of(&json!({ "type": "tabs", "tabs": tabs }))
}

/// Encodes the page's open dialog, if there is one.
pub(super) fn dialog(dialog: Option<&Dialog>) -> Text {
    let dialog =
        dialog.map(|dialog| json!({ "kind": dialog.kind, "message": dialog.message, "default": dialog.default }));
    Text::of(&json!({ "type": "dialog", "dialog": dialog }))
}

/// Encodes a notice, such as the reason why a command failed.
pub(super) fn notice(sentence: &str) -> Text {
    Text::of(&json!({ "type": "notice", "text": sentence }))
}

/// Encodes the last message.
pub(crate) fn session_ended(ended: &SessionEnded) -> Text {
    Text::of(
        &json!({ "type": "ended", "reason": ended.reason, "at": ended.at, "text": ended.sentence }),
    )
}

/// Encodes a frame: its number, width and height, then the JPEG.
pub(super) fn frame(number: u32, frame: &Frame) -> Bytes {
    let mut message = BytesMut::with_capacity(8 + frame.jpeg.len());
    message.put_u32(number);
    message.put_u16(frame.width);
    message.put_u16(frame.height);
    message.put_slice(&frame.jpeg);
    message.freeze()
}

/// The wire format of a viewer's message.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireMessage {
    Drawn { frame: u32 },
    Mouse(Mouse),
    Wheel(Wheel),
    Key(Key),
    Touch(Touch),
    Compose { text: String },
    Text { text: String },
    Back,
    Forward,
    Reload,
    Open { url: String },
    Dialog { accept: bool, text: Option<String> },
    Tab { id: String },
    CloseTab { id: String },
    NewTab,
}

/// A message from a viewer.
#[derive(Debug)]
pub(super) enum ClientMessage {
    /// The viewer has drawn the frame with this number.
    Drawn(u32),
    /// A command for the browser.
    Command(Command),
}

/// A command for the browser.
#[derive(Debug)]
pub(super) enum Command {
    /// Sends input to the current tab.
    Input(Input),
    /// Makes a tab the current one.
    ActivateTab(String),
    /// Closes a tab.
    CloseTab(String),
    /// Opens a tab.
    OpenTab,
}

/// Parses a message from a viewer. Returns `None` if it is malformed.
pub(super) fn parse(message: &str) -> Option<ClientMessage> {
    let input = match serde_json::from_str(message).ok()? {
        WireMessage::Drawn { frame } => return Some(ClientMessage::Drawn(frame)),
        WireMessage::Tab { id } => return Some(ClientMessage::Command(Command::ActivateTab(id))),
        WireMessage::CloseTab { id } => return Some(ClientMessage::Command(Command::CloseTab(id))),
        WireMessage::NewTab => return Some(ClientMessage::Command(Command::OpenTab)),
        WireMessage::Mouse(mouse) => Input::Mouse(mouse),
        WireMessage::Wheel(wheel) => Input::Wheel(wheel),
        WireMessage::Key(key) => Input::Key(key),
        WireMessage::Touch(touch) => Input::Touch(touch),
        WireMessage::Compose { text } => Input::Compose(text),
        WireMessage::Text { text } => Input::Text(text),
        WireMessage::Back => Input::Back,
        WireMessage::Forward => Input::Forward,
        WireMessage::Reload => Input::Reload,
        WireMessage::Open { url } => Input::Open(url),
        WireMessage::Dialog { accept, text } => Input::AnswerDialog { accept, text },
    };
    Some(ClientMessage::Command(Command::Input(input)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_of_the_page_is_parsed() {
        for message in [
            r#"{"type":"mouse","kind":"move","x":1.5,"y":2,"button":"none","buttons":0,"clicks":0,"modifiers":0}"#,
            r#"{"type":"wheel","x":1,"y":2,"dx":0,"dy":120,"modifiers":0}"#,
            r#"{"type":"key","kind":"down","key":"a","code":"KeyA","keyCode":65,"location":0,"repeat":false,"modifiers":0}"#,
            r#"{"type":"compose","text":"に"}"#,
            r#"{"type":"text","text":"日本"}"#,
            r#"{"type":"touch","kind":"start","points":[{"id":0,"x":1,"y":2}],"modifiers":0}"#,
            r#"{"type":"back"}"#,
            r#"{"type":"forward"}"#,
            r#"{"type":"reload"}"#,
            r#"{"type":"open","url":"example.com"}"#,
            r#"{"type":"tab","id":"T"}"#,
            r#"{"type":"close_tab","id":"T"}"#,
            r#"{"type":"new_tab"}"#,
            r#"{"type":"dialog","accept":true,"text":"x"}"#,
            r#"{"type":"dialog","accept":false}"#,
        ] {
            assert!(
                matches!(parse(message), Some(ClientMessage::Command(_))),
                "{message}"
            );
        }
        assert!(matches!(
            parse(r#"{"type":"drawn","frame":7}"#),
            Some(ClientMessage::Drawn(7))
        ));
    }

    #[test]
    fn malformed_messages_are_rejected() {
        for message in [
            "",
            "{}",
            "[]",
            r#"{"type":"evaluate","code":"1"}"#,
            r#"{"type":"drawn","frame":-1}"#,
        ] {
            assert!(parse(message).is_none(), "{message}");
        }
    }

    #[test]
    fn page_titles_are_escaped() {
        let tab = Tab {
            id: "T".into(),
            title: "</script>\"<img>".into(),
            url: "data:,".into(),
            is_current: true,
            has_crashed: false,
        };
        let message: Value = serde_json::from_slice(&tabs(&[tab]).into_bytes()).expect("JSON");
        assert_eq!(message["tabs"][0]["title"], "</script>\"<img>");
    }
}
