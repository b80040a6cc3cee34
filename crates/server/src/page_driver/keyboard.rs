//! Types texts and presses keys of a US keyboard.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::driver::PageDriver;
use super::error::PageError;

/// The longest text that is typed key by key. A longer one is inserted at once.
const MAX_TYPED_CHARS: usize = 1000;

const ALT: u8 = 1;
const CONTROL: u8 = 2;
const META: u8 = 4;
const SHIFT: u8 = 8;

/// The modifier keys: name, code, key code and bit.
const MODIFIERS: &[(&str, &str, u32, u8)] = &[
    ("Alt", "AltLeft", 18, ALT),
    ("Control", "ControlLeft", 17, CONTROL),
    ("Meta", "MetaLeft", 91, META),
    ("Shift", "ShiftLeft", 16, SHIFT),
];

/// The keys without a character: name and key code. Their code is their name.
const NAMED: &[(&str, u32)] = &[
    ("Backspace", 8),
    ("Tab", 9),
    ("Enter", 13),
    ("Escape", 27),
    ("Space", 32),
    ("PageUp", 33),
    ("PageDown", 34),
    ("End", 35),
    ("Home", 36),
    ("ArrowLeft", 37),
    ("ArrowUp", 38),
    ("ArrowRight", 39),
    ("ArrowDown", 40),
    ("Insert", 45),
    ("Delete", 46),
    ("F1", 112),
    ("F2", 113),
    ("F3", 114),
    ("F4", 115),
    ("F5", 116),
    ("F6", 117),
    ("F7", 118),
    ("F8", 119),
    ("F9", 120),
    ("F10", 121),
    ("F11", 122),
    ("F12", 123),
];

/// The keys with other characters: without and with Shift, code and key code.
const SYMBOLS: &[(char, char, &str, u32)] = &[
    ('`', '~', "Backquote", 192),
    ('-', '_', "Minus", 189),
    ('=', '+', "Equal", 187),
    ('[', '{', "BracketLeft", 219),
    (']', '}', "BracketRight", 221),
    ('\\', '|', "Backslash", 220),
    (';', ':', "Semicolon", 186),
    ('\'', '"', "Quote", 222),
    (',', '<', "Comma", 188),
    ('.', '>', "Period", 190),
    ('/', '?', "Slash", 191),
];

/// The characters above the digits, from 0 to 9.
const ABOVE_DIGITS: &[char; 10] = &[')', '!', '@', '#', '$', '%', '^', '&', '*', '('];

/// A key, and the character that it types.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    name: String,
    code: String,
    virtual_code: u32,
    text: Option<String>,
    /// The modifiers that the character needs.
    modifiers: u8,
}

impl Key {
    fn of_char(char: char) -> Option<Key> {
        let (code, key_code, modifiers) = match char {
            '\n' | '\r' => return Key::named("Enter"),
            '\t' => return Key::named("Tab"),
            ' ' => ("Space".to_owned(), 32, 0),
            'a'..='z' | 'A'..='Z' => {
                let upper = char.to_ascii_uppercase();
                let modifiers = if char == upper { SHIFT } else { 0 };
                (format!("Key{upper}"), u32::from(upper), modifiers)
            }
            '0'..='9' => (format!("Digit{char}"), u32::from(char), 0),
            _ => {
                if let Some(digit) = ('0'..='9')
                    .zip(ABOVE_DIGITS)
                    .find_map(|(digit, above)| (*above == char).then_some(digit))
                {
                    (format!("Digit{digit}"), u32::from(digit), SHIFT)
                } else {
                    let (_, shifted, code, key_code) = SYMBOLS
                        .iter()
                        .find(|(plain, shifted, ..)| char == *plain || char == *shifted)?;
                    let modifiers = if char == *shifted { SHIFT } else { 0 };
                    ((*code).to_owned(), *key_code, modifiers)
                }
            }
        };
        Some(Key {
            name: char.to_string(),
            code,
            virtual_code: key_code,
            text: Some(char.to_string()),
            modifiers,
        })
    }

    fn named(name: &str) -> Option<Key> {
        let (name, key_code) = NAMED.iter().find(|(known, _)| *known == name)?;
        let (key, text) = match *name {
            "Enter" => ("Enter", Some("\r")),
            "Space" => (" ", Some(" ")),
            other => (other, None),
        };
        Some(Key {
            name: key.to_owned(),
            code: (*name).to_owned(),
            virtual_code: *key_code,
            text: text.map(str::to_owned),
            modifiers: 0,
        })
    }

    /// Returns the key with this name or character.
    fn parse(name: &str) -> Option<Key> {
        let mut chars = name.chars();
        match (chars.next(), chars.next()) {
            (Some(char), None) => Key::of_char(char),
            _ => Key::named(name),
        }
    }

    fn params(&self, kind: &str, modifiers: u8) -> Value {
        let modifiers = modifiers | self.modifiers;
        let mut params = json!({
            "type": kind,
            "key": self.name,
            "code": self.code,
            "windowsVirtualKeyCode": self.virtual_code,
            "modifiers": modifiers,
        });
        // A shortcut types nothing.
        let is_shortcut = modifiers & (ALT | CONTROL | META) != 0;
        match &self.text {
            Some(text) if kind == "keyDown" && !is_shortcut => {
                params["text"] = text.as_str().into();
            }
            _ if kind == "keyDown" => params["type"] = "rawKeyDown".into(),
            _ => {}
        }
        // Headless Chromium has no menus, which would perform these on other platforms.
        let command = match (is_shortcut, self.code.as_str()) {
            (true, "KeyA") => Some("selectAll"),
            (true, "KeyZ") => Some("undo"),
            _ => None,
        };
        if let Some(command) = command.filter(|_| kind == "keyDown") {
            params["commands"] = json!([command]);
        }
        params
    }
}

/// A key that is pressed while modifiers are held down.
#[derive(Debug)]
struct Press {
    key: Option<Key>,
    held: Vec<(Key, u8)>,
}

impl Press {
    /// Parses a name such as `Enter`, `a` or `Control+Shift+A`.
    fn parse(name: &str) -> Option<Press> {
        let mut press = Press {
            key: None,
            held: Vec::new(),
        };
        let mut rest = name;
        // The last part may be the plus sign itself.
        while let Some((modifier, other)) = rest.split_once('+')
            && !modifier.is_empty()
            && !other.is_empty()
        {
            press.held.push(modifier_key(modifier)?);
            rest = other;
        }
        match modifier_key(rest) {
            Some(held) => press.held.push(held),
            None => press.key = Some(Key::parse(rest)?),
        }
        Some(press)
    }

    fn modifiers(&self) -> u8 {
        self.held.iter().fold(0, |all, (_, bit)| all | bit)
    }
}

fn modifier_key(name: &str) -> Option<(Key, u8)> {
    let name = match name {
        "Ctrl" | "ControlOrMeta" => "Control",
        "Cmd" | "Command" => "Meta",
        other => other,
    };
    let (name, code, key_code, bit) = MODIFIERS.iter().find(|(known, ..)| *known == name)?;
    let key = Key {
        name: (*name).to_owned(),
        code: (*code).to_owned(),
        virtual_code: *key_code,
        text: None,
        modifiers: 0,
    };
    Some((key, *bit))
}

impl PageDriver {
    /// Types a text into the focused element.
    pub(super) async fn write(&mut self, text: &str, deadline: Instant) -> Result<(), PageError> {
        if text.chars().nth(MAX_TYPED_CHARS).is_some() {
            return self.insert(text, deadline).await;
        }
        for char in text.chars() {
            match Key::of_char(char) {
                Some(key) => {
                    self.key_event(&key, "keyDown", 0, deadline).await?;
                    self.key_event(&key, "keyUp", 0, deadline).await?;
                }
                None => self.insert(&char.to_string(), deadline).await?,
            }
        }
        Ok(())
    }

    /// Presses a key, such as `Enter` or `Control+A`.
    pub(super) async fn press(&mut self, name: &str, deadline: Instant) -> Result<(), PageError> {
        let Some(press) = Press::parse(name) else {
            return Err(PageError::step(format!("unknown key {name:?}")));
        };
        let all = press.modifiers();
        for (key, _) in &press.held {
            self.key_event(key, "keyDown", all, deadline).await?;
        }
        if let Some(key) = &press.key {
            self.key_event(key, "keyDown", all, deadline).await?;
            self.key_event(key, "keyUp", all, deadline).await?;
        }
        for (key, _) in press.held.iter().rev() {
            self.key_event(key, "keyUp", 0, deadline).await?;
        }
        Ok(())
    }

    async fn key_event(
        &mut self,
        key: &Key,
        kind: &str,
        modifiers: u8,
        deadline: Instant,
    ) -> Result<(), PageError> {
        let params = key.params(kind, modifiers);
        let _: Value = self
            .connection
            .call("Input.dispatchKeyEvent", &params, deadline)
            .await?;
        Ok(())
    }

    async fn insert(&mut self, text: &str, deadline: Instant) -> Result<(), PageError> {
        let params = json!({"text": text});
        let _: Value = self
            .connection
            .call("Input.insertText", &params, deadline)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_have_the_keys_of_a_us_keyboard() {
        for (char, code, key_code, modifiers) in [
            ('a', "KeyA", 65, 0),
            ('Q', "KeyQ", 81, SHIFT),
            ('7', "Digit7", 55, 0),
            ('@', "Digit2", 50, SHIFT),
            ('?', "Slash", 191, SHIFT),
            ('-', "Minus", 189, 0),
            ('\n', "Enter", 13, 0),
        ] {
            let key = Key::of_char(char).expect("a key");
            assert_eq!(
                (key.code.as_str(), key.virtual_code, key.modifiers),
                (code, key_code, modifiers),
                "{char}"
            );
        }
        assert_eq!(Key::of_char('ü'), None);
    }

    #[test]
    fn keys_are_pressed_with_modifiers() {
        let press = Press::parse("Control+Shift+A").expect("a key");
        assert_eq!(press.modifiers(), CONTROL | SHIFT);
        let key = press.key.expect("a key");
        let params = key.params("keyDown", CONTROL);
        assert_eq!(
            (&params["type"], &params["text"]),
            (&json!("rawKeyDown"), &Value::Null)
        );
        assert_eq!(
            Press::parse("+").and_then(|press| press.key),
            Key::of_char('+')
        );
        assert_eq!(
            Press::parse("Control++").and_then(|press| press.key),
            Key::of_char('+')
        );
        assert!(Press::parse("Shift").is_some_and(|press| press.key.is_none()));
        for unknown in ["", "Return!", "Hyper+a", "ab"] {
            assert!(Press::parse(unknown).is_none(), "{unknown}");
        }
    }
}
