//! Settings that are text, and the text of their help.

use std::str::FromStr;

/// Parses a value without the blanks around it.
pub(super) fn parse_trimmed<T: FromStr>(text: &str) -> Result<T, T::Err> {
    text.trim().parse()
}

pub(super) fn parse_user_agent(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if is_printable && text.len() <= 1000 {
        Ok(text.to_owned())
    } else {
        Err("it must be at most 1000 printable ASCII characters".to_owned())
    }
}

/// Splits a help text from the description of the default. A default that depends on the machine or
/// on other settings is described there.
pub(super) fn default_in_words(help: &str) -> (String, Option<String>) {
    match help.split_once(" [default: ") {
        Some((help, words)) => (help.to_owned(), words.strip_suffix(']').map(str::to_owned)),
        None => (help.to_owned(), None),
    }
}
