//! Generates JSON text, including valid text that parsers often get wrong: repeated members,
//! escapes, deep nesting, and numbers at the limits of types.

use std::fmt::Write;

use crate::{Result, Unstructured};

/// The names and strings that a target gives a meaning to.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary {
    /// The names of members.
    pub names: &'static [&'static str],
    /// Strings, unescaped.
    pub strings: &'static [&'static str],
}

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "-0",
    "1.0",
    "1.5",
    "60",
    "1e3",
    "1E-2",
    "2147483648",
    "9007199254740993",
    "-9007199254740993",
    "18446744073709551616",
    "1e308",
];

const MAX_DEPTH: usize = 4;

impl Vocabulary {
    /// Generates an object.
    pub fn object(&self, random: &mut Unstructured<'_>) -> Result<String> {
        let mut text = String::new();
        self.push_object(random, &mut text, 0)?;
        Ok(text)
    }

    /// Generates a value of any type.
    pub fn value(&self, random: &mut Unstructured<'_>) -> Result<String> {
        let mut text = String::new();
        self.push_value(random, &mut text, 0)?;
        Ok(text)
    }

    fn push_value(
        &self,
        random: &mut Unstructured<'_>,
        text: &mut String,
        depth: usize,
    ) -> Result<()> {
        match random.int_in_range(0..=12)? {
            0 => text.push_str("null"),
            1 => text.push_str("true"),
            2 => text.push_str("false"),
            3 | 4 => text.push_str(random.choose(NUMBERS)?),
            5..=7 => push_string(random, text, self.strings)?,
            8 | 9 if depth < MAX_DEPTH => {
                text.push('[');
                for number in 0..random.int_in_range(0..=3)? {
                    if number > 0 {
                        text.push(',');
                    }
                    self.push_value(random, text, depth + 1)?;
                }
                text.push(']');
            }
            10 if random.ratio(1, 8)? => {
                let levels = *random.choose(&[100, 127, 128, 289, 290, 300])?;
                let (open, close) = *random.choose(&[("[", "]"), ("{\"a\":", "}")])?;
                text.push_str(&open.repeat(levels));
                text.push('0');
                text.push_str(&close.repeat(levels));
            }
            _ if depth < MAX_DEPTH => self.push_object(random, text, depth)?,
            _ => text.push_str("{}"),
        }
        Ok(())
    }

    fn push_object(
        &self,
        random: &mut Unstructured<'_>,
        text: &mut String,
        depth: usize,
    ) -> Result<()> {
        text.push('{');
        // A name may occur twice.
        for number in 0..random.int_in_range(0..=5)? {
            if number > 0 {
                text.push(',');
            }
            push_string(random, text, self.names)?;
            text.push_str(if random.ratio(1, 8)? { " : " } else { ":" });
            self.push_value(random, text, depth + 1)?;
        }
        text.push('}');
        Ok(())
    }
}

/// Writes one of `strings`, sometimes with escapes that are not necessary.
fn push_string(random: &mut Unstructured<'_>, text: &mut String, strings: &[&str]) -> Result<()> {
    let string = random.choose(strings)?;
    let escapes = random.ratio(1, 6)?;
    text.push('"');
    for character in string.chars() {
        let must_escape = matches!(character, '"' | '\\') || character.is_control();
        if must_escape || (escapes && random.ratio(1, 3)?) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(text, "\\u{unit:04x}").expect("a string accepts everything");
            }
        } else {
            text.push(character);
        }
    }
    text.push('"');
    Ok(())
}
