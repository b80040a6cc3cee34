//! What a viewer's page and the server say to each other. The other side of it is in `page/`:
//! `connection.js`, and whoever calls its `send`. They come from one executable, so nobody else has
//! to be able to read it.

use axum::extract::ws::Utf8Bytes;
use bytes::{BufMut, Bytes, BytesMut};
use hearth_browser::{Dialog, Frame, Input, Key, Mouse, Tab, Touch, Wheel};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Farewell, Right};

/// The first message: what the link allows.
pub(crate) fn hello(right: Right) -> Utf8Bytes {
    text(&json!({ "type": "hello", "interactive": right == Right::Steer }))
}

/// All open tabs.
pub(crate) fn tabs(tabs: &[Tab]) -> Utf8Bytes {
    let tab = |tab: &Tab| json!({ "id": tab.id, "title": tab.title, "url": tab.url, "current": tab.is_current, "crashed": tab.has_crashed });
    let tabs: Vec<Value> = tabs.iter().map(tab).collect();
    text(&json!({ "type": "tabs", "tabs": tabs }))
}

/// What the page asks, if it asks anything.
pub(crate) fn dialog(dialog: Option<&Dialog>) -> Utf8Bytes {
    let dialog =
        dialog.map(|dialog| json!({ "kind": dialog.kind, "message": dialog.message, "default": dialog.default }));
    text(&json!({ "type": "dialog", "dialog": dialog }))
}

/// Something that was asked for could not be done.
pub(crate) fn notice(sentence: &str) -> Utf8Bytes {
    text(&json!({ "type": "notice", "text": sentence }))
}

/// The last message.
pub(crate) fn ended(how: &Farewell) -> Utf8Bytes {
    text(&json!({ "type": "ended", "reason": how.reason, "at": how.at, "text": how.sentence }))
}

/// A frame: number, width and height, then the JPEG.
pub(crate) fn picture(number: u32, frame: &Frame) -> Bytes {
    let mut message = BytesMut::with_capacity(8 + frame.jpeg.len());
    message.put_u32(number);
    message.put_u16(frame.width);
    message.put_u16(frame.height);
    message.put_slice(&frame.jpeg);
    message.freeze()
}

fn text(message: &Value) -> Utf8Bytes {
    message.to_string().into()
}

/// What a viewer says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
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

/// What a message of a viewer means.
#[derive(Debug)]
pub(crate) enum Heard {
    /// It has drawn this picture.
    Drawn(u32),
    /// It wants something done.
    Command(Command),
}

/// Something that is to be done in the browser.
#[derive(Debug)]
pub(crate) enum Command {
    /// To the current tab.
    Input(Input),
    /// To make this tab the current one.
    Activate(String),
    /// To close this tab.
    Close(String),
    /// To open a tab.
    Open,
}

/// Reads a message of a viewer. None for what is not understood.
pub(crate) fn read(message: &str) -> Option<Heard> {
    let input = match serde_json::from_str(message).ok()? {
        Said::Drawn { frame } => return Some(Heard::Drawn(frame)),
        Said::Tab { id } => return Some(Heard::Command(Command::Activate(id))),
        Said::CloseTab { id } => return Some(Heard::Command(Command::Close(id))),
        Said::NewTab => return Some(Heard::Command(Command::Open)),
        Said::Mouse(mouse) => Input::Mouse(mouse),
        Said::Wheel(wheel) => Input::Wheel(wheel),
        Said::Key(key) => Input::Key(key),
        Said::Touch(touch) => Input::Touch(touch),
        Said::Compose { text } => Input::Compose(text),
        Said::Text { text } => Input::Text(text),
        Said::Back => Input::Back,
        Said::Forward => Input::Forward,
        Said::Reload => Input::Reload,
        Said::Open { url } => Input::Open(url),
        Said::Dialog { accept, text } => Input::AnswerDialog { accept, text },
    };
    Some(Heard::Command(Command::Input(input)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_of_the_page_is_understood() {
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
                matches!(read(message), Some(Heard::Command(_))),
                "{message}"
            );
        }
        assert!(matches!(
            read(r#"{"type":"drawn","frame":7}"#),
            Some(Heard::Drawn(7))
        ));
    }

    #[test]
    fn what_is_no_message_is_not_understood() {
        for message in [
            "",
            "{}",
            "[]",
            r#"{"type":"evaluate","code":"1"}"#,
            r#"{"type":"drawn","frame":-1}"#,
        ] {
            assert!(read(message).is_none(), "{message}");
        }
    }

    #[test]
    fn what_pages_say_stays_a_string() {
        let tab = Tab {
            id: "T".into(),
            title: "</script>\"<img>".into(),
            url: "data:,".into(),
            is_current: true,
            has_crashed: false,
        };
        let message: Value = serde_json::from_str(&tabs(&[tab])).expect("JSON");
        assert_eq!(message["tabs"][0]["title"], "</script>\"<img>");
    }
}
