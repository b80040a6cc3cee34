//! What a pair of hands holds down, for whoever has to let it go when the hands are gone.

use std::collections::BTreeMap;

use super::input::{Input, Key, Mouse, Touch};

/// Nobody holds more keys; what comes beyond is not kept.
const MAX_KEYS: usize = 16;

/// The keys, buttons and fingers that are down.
#[derive(Debug, Default)]
pub struct PressedInputs {
    /// By where they are on the keyboard.
    keys: BTreeMap<String, Key>,
    mouse: Option<Mouse>,
    /// Whether any finger is on the page.
    touches: bool,
}

impl PressedInputs {
    /// Notes what an input presses, and what it lets go.
    pub fn record(&mut self, input: &Input) {
        match input {
            Input::Key(key) => {
                if !key.is_down() {
                    self.keys.remove(key.place());
                } else if self.keys.len() < MAX_KEYS {
                    self.keys.insert(key.place().to_owned(), key.clone());
                }
            }
            Input::Mouse(mouse) => self.mouse = mouse.holds_a_button().then(|| mouse.clone()),
            Input::Touch(touch) => self.touches = touch.holds_on(),
            _ => {}
        }
    }

    /// What lets go of all of it.
    pub fn release(self) -> Vec<Input> {
        let keys = self
            .keys
            .into_values()
            .map(|key| Input::Key(key.released()));
        let mouse = self
            .mouse
            .into_iter()
            .flat_map(Mouse::released)
            .map(Input::Mouse);
        let touch = self.touches.then(|| Input::Touch(Touch::cancelled()));
        keys.chain(mouse).chain(touch).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn key(kind: &str, code: &str) -> Input {
        let key = json!({"kind": kind, "key": "a", "code": code, "keyCode": 65, "location": 0, "repeat": false, "modifiers": 0});
        Input::Key(serde_json::from_value(key).expect("a key"))
    }

    fn mouse(kind: &str, button: &str, buttons: u8) -> Input {
        let mouse = json!({"kind": kind, "x": 3, "y": 4, "button": button, "buttons": buttons, "clicks": 1, "modifiers": 0});
        Input::Mouse(serde_json::from_value(mouse).expect("a mouse"))
    }

    fn touch(kind: &str, points: &Value) -> Input {
        let touch = json!({"kind": kind, "points": points, "modifiers": 0});
        Input::Touch(serde_json::from_value(touch).expect("a touch"))
    }

    fn let_go(inputs: &[Input]) -> Vec<Value> {
        let mut pressed = PressedInputs::default();
        for input in inputs {
            pressed.record(input);
        }
        let params = |input| match input {
            Input::Key(key) => serde_json::to_value(key.into_params()),
            Input::Mouse(mouse) => serde_json::to_value(mouse.into_params()),
            Input::Touch(touch) => serde_json::to_value(touch.into_params()),
            other => panic!("{other:?} is not held"),
        };
        pressed
            .release()
            .into_iter()
            .map(|input| params(input).expect("params"))
            .collect()
    }

    #[test]
    fn what_was_let_go_is_not_let_go_again() {
        let points = json!([{"id": 0, "x": 1, "y": 2}]);
        let inputs = [
            key("down", "KeyA"),
            mouse("down", "left", 1),
            touch("start", &points),
            key("up", "KeyA"),
            mouse("up", "left", 0),
            touch("end", &json!([])),
        ];
        assert_eq!(let_go(&inputs), Vec::<Value>::new());
    }

    #[test]
    fn what_is_held_is_let_go_where_it_was_last() {
        let points = json!([{"id": 0, "x": 1, "y": 2}]);
        let inputs = [
            key("down", "ShiftLeft"),
            mouse("down", "left", 1),
            mouse("down", "right", 3),
            mouse("move", "none", 3),
            touch("start", &points),
        ];
        let released = let_go(&inputs);
        let types: Vec<_> = released
            .iter()
            .map(|params| params["type"].as_str().expect("a type"))
            .collect();
        assert_eq!(
            types,
            ["keyUp", "mouseReleased", "mouseReleased", "touchCancel"]
        );
        assert_eq!(
            (&released[1]["button"], &released[1]["buttons"]),
            (&json!("left"), &json!(2))
        );
        assert_eq!(
            (
                &released[2]["button"],
                &released[2]["buttons"],
                &released[2]["x"]
            ),
            (&json!("right"), &json!(0), &json!(3.0))
        );
    }
}
