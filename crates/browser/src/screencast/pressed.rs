//! Tracks pressed keys, buttons and touches, so that they can be released when a viewer leaves.

use std::collections::BTreeMap;

use super::input::{Input, Key, Mouse, Touch};

/// The maximum number of tracked keys. More are not plausible and are ignored.
const MAX_KEYS: usize = 16;

/// The keys, buttons and touches that are down.
#[derive(Debug, Default)]
pub struct PressedInputs {
    /// By position on the keyboard.
    keys: BTreeMap<String, Key>,
    mouse: Option<Mouse>,
    /// True if a finger touches the page.
    touches: bool,
}

impl PressedInputs {
    /// Records the presses and releases of an input.
    pub fn record(&mut self, input: &Input) {
        match input {
            Input::Key(key) => {
                if !key.is_down() {
                    self.keys.remove(key.position());
                } else if self.keys.len() < MAX_KEYS {
                    self.keys.insert(key.position().to_owned(), key.clone());
                }
            }
            Input::Mouse(mouse) => self.mouse = mouse.holds_a_button().then(|| mouse.clone()),
            Input::Touch(touch) => self.touches = touch.holds_on(),
            _ => {}
        }
    }

    /// Returns the inputs that release everything.
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
    fn released_inputs_are_not_released_again() {
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
    fn pressed_inputs_are_released_at_their_last_position() {
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
