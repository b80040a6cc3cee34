//! Mouse, keyboard and touch input as protocol commands. Coordinates are CSS pixels of the page's
//! viewport. Modifiers are the protocol's bits: Alt 1, Ctrl 2, Meta 4, Shift 8.

use chromiumoxide_cdp::cdp::browser_protocol::input::{
    DispatchKeyEventParams, DispatchKeyEventType, DispatchMouseEventParams, DispatchMouseEventType,
    DispatchTouchEventParams, DispatchTouchEventReturns, DispatchTouchEventType,
    ImeSetCompositionParams, InsertTextParams, MouseButton, TouchPoint,
};
use chromiumoxide_types::{Command, Method, MethodId};
use serde::{Deserialize, Serialize};

/// Alt, Ctrl and Meta: a key with any of them is a shortcut and types no text.
const SHORTCUT_MODIFIERS: u8 = 1 | 2 | 4;

/// An input to a tab.
#[derive(Clone, Debug)]
pub enum Input {
    /// A mouse move, or a button that goes down or up.
    Mouse(Mouse),
    /// A turn of the wheel.
    Wheel(Wheel),
    /// A key that goes down or up.
    Key(Key),
    /// A touch event.
    Touch(Touch),
    /// The current text of an input method's composition. Empty text cancels it.
    Compose(String),
    /// A complete text: a finished composition, or pasted text.
    Text(String),
    /// Go to the previous page.
    Back,
    /// Go to the next page.
    Forward,
    /// Reload the page.
    Reload,
    /// Open an address that a person typed.
    Open(String),
    /// Answer a [`Dialog`](super::Dialog).
    AnswerDialog {
        /// True for OK, false for Cancel.
        accept: bool,
        /// The text for a prompt.
        text: Option<String>,
    },
}

/// A mouse move, or a mouse button event.
#[derive(Clone, Debug, Deserialize)]
pub struct Mouse {
    kind: MouseKind,
    x: f64,
    y: f64,
    button: MouseButton,
    /// The pressed buttons: left 1, right 2, middle 4, back 8, forward 16.
    buttons: u8,
    clicks: u8,
    modifiers: u8,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MouseKind {
    Move,
    Down,
    Up,
}

/// The buttons and their bits.
const BUTTONS: [(u8, MouseButton); 5] = [
    (1, MouseButton::Left),
    (2, MouseButton::Right),
    (4, MouseButton::Middle),
    (8, MouseButton::Back),
    (16, MouseButton::Forward),
];

impl Mouse {
    pub(super) fn holds_a_button(&self) -> bool {
        self.buttons != 0
    }

    /// Returns one release event for each pressed button.
    pub(super) fn released(self) -> Vec<Mouse> {
        let mut buttons = self.buttons;
        let held = BUTTONS
            .into_iter()
            .filter(|(bit, _)| self.buttons & bit != 0);
        let release = |(bit, button): (u8, MouseButton)| {
            buttons &= !bit;
            Mouse {
                kind: MouseKind::Up,
                button,
                buttons,
                clicks: 1,
                ..self.clone()
            }
        };
        held.map(release).collect()
    }

    pub(super) fn into_params(self) -> DispatchMouseEventParams {
        let kind = match self.kind {
            MouseKind::Move => DispatchMouseEventType::MouseMoved,
            MouseKind::Down => DispatchMouseEventType::MousePressed,
            MouseKind::Up => DispatchMouseEventType::MouseReleased,
        };
        DispatchMouseEventParams {
            button: Some(self.button),
            buttons: Some(self.buttons.into()),
            click_count: Some(self.clicks.into()),
            modifiers: Some(self.modifiers.into()),
            ..DispatchMouseEventParams::new(kind, self.x, self.y)
        }
    }
}

/// A scroll event.
#[derive(Clone, Debug, Deserialize)]
pub struct Wheel {
    x: f64,
    y: f64,
    /// CSS pixels to the right.
    dx: f64,
    /// CSS pixels down.
    dy: f64,
    modifiers: u8,
}

impl Wheel {
    pub(super) fn into_params(self) -> DispatchMouseEventParams {
        DispatchMouseEventParams {
            delta_x: Some(self.dx),
            delta_y: Some(self.dy),
            modifiers: Some(self.modifiers.into()),
            ..DispatchMouseEventParams::new(DispatchMouseEventType::MouseWheel, self.x, self.y)
        }
    }
}

/// A key event, with the members of the DOM's `KeyboardEvent`.
#[derive(Clone, Debug, Deserialize)]
pub struct Key {
    kind: KeyKind,
    /// The meaning, such as `a` or `Enter`.
    #[serde(rename = "key")]
    meaning: String,
    /// The position, such as `KeyA`.
    code: String,
    #[serde(rename = "keyCode")]
    legacy_code: u16,
    location: u8,
    repeat: bool,
    modifiers: u8,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum KeyKind {
    Down,
    Up,
}

impl Key {
    pub(super) fn is_down(&self) -> bool {
        self.kind == KeyKind::Down
    }

    /// Returns the position on the keyboard, or the meaning if the position is unknown, as on
    /// phones.
    pub(super) fn position(&self) -> &str {
        if self.code.is_empty() {
            &self.meaning
        } else {
            &self.code
        }
    }

    pub(super) fn released(self) -> Key {
        Key {
            kind: KeyKind::Up,
            repeat: false,
            modifiers: 0,
            ..self
        }
    }

    /// Returns the text that the key types, if any.
    fn text(&self) -> Option<&str> {
        let is_character = self.meaning.chars().nth(1).is_none() && !self.meaning.is_empty();
        match self.kind {
            KeyKind::Up => None,
            KeyKind::Down if self.modifiers & SHORTCUT_MODIFIERS != 0 => None,
            KeyKind::Down if self.meaning == "Enter" => Some("\r"),
            KeyKind::Down => is_character.then_some(&self.meaning),
        }
    }

    pub(super) fn into_params(self) -> DispatchKeyEventParams {
        let text = self.text().map(str::to_owned);
        let kind = match (self.kind, &text) {
            (KeyKind::Up, _) => DispatchKeyEventType::KeyUp,
            (KeyKind::Down, Some(_)) => DispatchKeyEventType::KeyDown,
            (KeyKind::Down, None) => DispatchKeyEventType::RawKeyDown,
        };
        let keypad = 3;
        DispatchKeyEventParams {
            modifiers: Some(self.modifiers.into()),
            unmodified_text: text.clone(),
            text,
            code: Some(self.code),
            key: Some(self.meaning),
            windows_virtual_key_code: Some(self.legacy_code.into()),
            auto_repeat: Some(self.repeat),
            is_keypad: Some(self.location == keypad),
            // The protocol has only left and right; the keypad has the flag above.
            location: Some(if self.location < keypad {
                self.location.into()
            } else {
                0
            }),
            ..DispatchKeyEventParams::new(kind)
        }
    }
}

/// A touch event.
#[derive(Clone, Debug, Deserialize)]
pub struct Touch {
    kind: TouchKind,
    /// The fingers that currently touch the page.
    points: Vec<Finger>,
    modifiers: u8,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TouchKind {
    Start,
    Move,
    End,
    Cancel,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Finger {
    id: u32,
    x: f64,
    y: f64,
}

/// The params of a touch event. The generated type omits an empty list, but Chromium requires it
/// when the last finger leaves.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TouchParams {
    r#type: DispatchTouchEventType,
    touch_points: Vec<TouchPoint>,
    modifiers: u8,
}

impl Method for TouchParams {
    fn identifier(&self) -> MethodId {
        DispatchTouchEventParams::IDENTIFIER.into()
    }
}

impl Command for TouchParams {
    type Response = DispatchTouchEventReturns;
}

impl Touch {
    pub(super) fn holds_on(&self) -> bool {
        !self.points.is_empty()
    }

    /// Returns the event that cancels all touches.
    pub(super) fn cancelled() -> Touch {
        Touch {
            kind: TouchKind::Cancel,
            points: Vec::new(),
            modifiers: 0,
        }
    }

    pub(super) fn into_params(self) -> TouchParams {
        let kind = match self.kind {
            TouchKind::Start => DispatchTouchEventType::TouchStart,
            TouchKind::Move => DispatchTouchEventType::TouchMove,
            TouchKind::End => DispatchTouchEventType::TouchEnd,
            TouchKind::Cancel => DispatchTouchEventType::TouchCancel,
        };
        let point = |finger: Finger| TouchPoint {
            id: Some(finger.id.into()),
            ..TouchPoint::new(finger.x, finger.y)
        };
        let touch_points = self.points.into_iter().map(point).collect();
        TouchParams {
            r#type: kind,
            touch_points,
            modifiers: self.modifiers,
        }
    }
}

/// Builds a composition with the cursor at its end.
pub(super) fn composition(text: String) -> ImeSetCompositionParams {
    let end = i64::try_from(text.encode_utf16().count()).unwrap_or(i64::MAX);
    ImeSetCompositionParams::new(text, end, end)
}

pub(super) fn insertion(text: String) -> InsertTextParams {
    InsertTextParams::new(text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn key(event: &Value) -> Value {
        let mut whole = json!({
            "kind": "down", "key": "a", "code": "KeyA", "keyCode": 65, "location": 0, "repeat": false, "modifiers": 0
        });
        let (whole_members, event) = (
            whole.as_object_mut().expect("an object"),
            event.as_object().expect("an object"),
        );
        whole_members.extend(event.clone());
        let key: Key = serde_json::from_value(whole).expect("a key");
        serde_json::to_value(key.into_params()).expect("params")
    }

    #[test]
    fn single_character_keys_type_text() {
        let params = key(&json!({"key": "ß", "modifiers": 8}));
        assert_eq!(
            (&params["type"], &params["text"]),
            (&json!("keyDown"), &json!("ß"))
        );
        assert_eq!(key(&json!({"key": "Enter"}))["text"], "\r");
    }

    #[test]
    fn shortcuts_and_named_keys_type_no_text() {
        for event in [
            json!({"modifiers": 2}),
            json!({"key": "Backspace"}),
            json!({"key": ""}),
        ] {
            let params = key(&event);
            assert_eq!(
                (&params["type"], &params["text"]),
                (&json!("rawKeyDown"), &Value::Null),
                "{event}"
            );
        }
        assert_eq!(key(&json!({"kind": "up"}))["type"], "keyUp");
    }

    #[test]
    fn keypad_keys_are_marked() {
        let params = key(&json!({"key": "1", "code": "Numpad1", "location": 3}));
        assert_eq!(
            (&params["isKeypad"], &params["location"]),
            (&json!(true), &json!(0))
        );
    }

    #[test]
    fn last_touch_ends_with_an_empty_list() {
        let touch = json!({"kind": "end", "points": [], "modifiers": 0});
        let touch: Touch = serde_json::from_value(touch).expect("a touch");
        let params = serde_json::to_value(touch.into_params()).expect("params");
        assert_eq!(
            params,
            json!({"type": "touchEnd", "touchPoints": [], "modifiers": 0})
        );
    }

    #[test]
    fn invalid_input_is_rejected() {
        assert!(serde_json::from_value::<Mouse>(json!({"kind": "fly", "x": 0, "y": 0})).is_err());
        assert!(serde_json::from_value::<Key>(json!({"kind": "down", "key": 7})).is_err());
    }

    #[test]
    fn composition_cursor_is_after_the_last_utf16_unit() {
        let params = composition("あ😀".to_owned());
        assert_eq!((params.selection_start, params.selection_end), (3, 3));
    }
}
