//! Suggestions for settings that cannot be used: values close to the given one, and names close to
//! that of an unknown variable.
//!
//! A candidate is suggested only if the setting's own parser accepts it.

use clap::builder::PossibleValuesParser;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Args, Command};

use super::destinations::{destinations, has_new_port};
use super::number::{bounds_of, closest_number};
use super::settings::Config;
use super::sites::{https_sites, origin_list, origins};

/// The prefix of all variables.
const PREFIX: &str = "HEARTH_";

/// Names that other servers use for a setting, without the prefix.
const OTHER_NAMES: [(&str, &str); 5] = [
    ("PORT", "LISTEN"),
    ("HOST", "LISTEN"),
    ("BIND", "LISTEN"),
    ("ADDRESS", "LISTEN"),
    ("LOG_LEVEL", "LOG"),
];

/// Values of settings without a default.
const EXAMPLES: [(&str, &str); 10] = [
    ("api-keys", "name:key"),
    ("public-url", "https://hearth.example"),
    ("cors-origins", "https://app.example"),
    ("user-agent", "Example/1.0"),
    ("firecrawl-url", "http://127.0.0.1:3002"),
    ("egress", "filtered"),
    ("egress-allow", "localhost:3000"),
    ("egress-proxy", "http://proxy.example:3128"),
    ("egress-proxies", "de=http://proxy.example:3128"),
    ("ignore-certificate-errors", "dev.internal:8443"),
];

/// Returns the fix for a setting whose `value` cannot be used. `is_flag` is true if the value comes
/// from the command line.
pub(super) fn suggest_value(setting: &Arg, value: &str, is_flag: bool) -> Option<String> {
    let flag = setting.get_long()?;
    if flag == "egress"
        && let Some(list) = allow_list(value)
    {
        let name = if is_flag {
            "--egress-allow"
        } else {
            "HEARTH_EGRESS_ALLOW"
        };
        return Some(format!("set {name}={}", quoted(&list)));
    }
    let name = match setting.get_env() {
        Some(variable) if !is_flag => variable.to_string_lossy().into_owned(),
        _ => format!("--{flag}"),
    };
    // A suggestion must not show a part of a secret.
    if !setting.is_hide_env_values_set() {
        let close = candidates(setting, flag, value).find(|close| is_usable(setting, close));
        if let Some(close) = close {
            let has_ports = ["egress-allow", "ignore-certificate-errors"].contains(&flag);
            let note = if has_ports && has_new_port(value, &close) {
                "   (with the ports of your services)"
            } else {
                ""
            };
            return Some(format!("set {name}={}{note}", quoted(&close)));
        }
        let default = setting.get_default_values().first();
        let default = default.and_then(|value| value.to_str());
        if let Some(default) = default.filter(|default| is_usable(setting, default)) {
            return Some(format!("set {name}={default}   (the default)"));
        }
    }
    if let Some(bounds) = bounds_of(setting) {
        return Some(format!("set {name} to a whole number from {bounds}"));
    }
    let example = EXAMPLES.iter().find(|(of, _)| *of == flag);
    example.map(|(_, example)| format!("set {name} to a value such as {example}"))
}

/// Returns the list of destinations that `value` is, instead of a mode of egress.
fn allow_list(value: &str) -> Option<String> {
    let list = destinations(unquoted(value));
    let command = Config::augment_args(Command::new("serve"));
    let setting = command
        .get_arguments()
        .find(|setting| setting.get_long() == Some("egress-allow"))?;
    (value.contains([':', '.']) && is_usable(setting, &list)).then_some(list)
}

/// Returns the known variable whose name is close to `name`.
pub(super) fn suggest_name(name: &str, known: &[&str]) -> Option<String> {
    let word = name.strip_prefix(PREFIX).filter(|word| !word.is_empty())?;
    if let Some((_, name)) = OTHER_NAMES.iter().find(|(other, _)| *other == word) {
        return Some(format!("{PREFIX}{name}"));
    }
    let end = format!("_{word}");
    if let Some(name) = known.iter().find(|name| name.ends_with(&end)) {
        return Some((*name).to_owned());
    }
    if let Some(name) = longer(name, known).or_else(|| shorter(name, known)) {
        return Some(name.to_owned());
    }
    // The words of a name may be in another order.
    let sorted: Vec<String> = known.iter().map(|name| sorted_words(name)).collect();
    let sorted: Vec<&str> = sorted.iter().map(String::as_str).collect();
    let close = closest(&sorted_words(name), &sorted)?;
    let at = sorted.iter().position(|name| *name == close)?;
    Some(known[at].to_owned())
}

/// Returns the variable that begins with all letters of `name`, such as a name without its unit. Of
/// several, returns the most similar one. Underscores may be missing or surplus.
fn longer<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let letters = name.replace('_', "");
    let is_longer = |other: &&&str| other.replace('_', "").starts_with(&letters);
    let found: Vec<&str> = known.iter().filter(is_longer).copied().collect();
    let similar = closest(name, &found);
    let named = |other: &&&str| Some(**other) == similar.as_deref();
    found.iter().find(named).or(found.first()).copied()
}

/// Returns the longest variable with at least two words that is the beginning of `name`.
fn shorter<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let letters = name.replace('_', "");
    let is_beginning = |other: &&&str| {
        let words = other.strip_prefix(PREFIX).unwrap_or(other);
        words.contains('_') && letters.starts_with(&other.replace('_', ""))
    };
    let found = known.iter().filter(is_beginning);
    found.max_by_key(|other| other.len()).copied()
}

/// Returns the words of a variable in alphabetical order, without the prefix.
fn sorted_words(name: &str) -> String {
    let name = name.strip_prefix(PREFIX).unwrap_or(name);
    let mut words: Vec<&str> = name.split('_').collect();
    words.sort_unstable();
    words.join("_")
}

/// Returns the word that is most similar to `word`, if one is similar.
fn closest(word: &str, words: &[&str]) -> Option<String> {
    // clap suggests similar values, but has no function for it.
    if words.is_empty() {
        return None;
    }
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    let only = Arg::new("word").long("word");
    let parsed = Command::new("closest")
        .no_binary_name(true)
        .arg(only.value_parser(PossibleValuesParser::new(words)))
        .try_get_matches_from([format!("--word={word}")]);
    let Err(error) = parsed else {
        return Some(word.to_owned());
    };
    match error.get(ContextKind::SuggestedValue) {
        Some(ContextValue::String(close)) => Some(close.clone()),
        _ => None,
    }
}

/// Returns true if the setting's parser accepts a value, and it can be shown in one line.
fn is_usable(setting: &Arg, value: &str) -> bool {
    let is_plain = value
        .chars()
        .all(|letter| letter.is_ascii_graphic() && !"\"$`\\".contains(letter) || letter == ' ');
    let Some(flag) = setting.get_long().filter(|_| is_plain && !value.is_empty()) else {
        return false;
    };
    Command::new("check")
        .no_binary_name(true)
        .arg(setting.clone().env(None::<&str>))
        .try_get_matches_from([format!("--{flag}={value}")])
        .is_ok()
}

/// Quotes a value for a shell and an environment file, if it needs quotes.
fn quoted(value: &str) -> String {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || "-_.:/,=+@%[]".contains(letter);
    if value.chars().all(is_word) {
        value.to_owned()
    } else {
        format!("\"{value}\"")
    }
}

/// Returns values close to the given one, the best first. Some of them may be unusable.
fn candidates(setting: &Arg, flag: &str, value: &str) -> impl Iterator<Item = String> {
    let value = unquoted(value);
    let possible = setting.get_possible_values();
    let words: Vec<&str> = possible
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(clap::builder::PossibleValue::get_name)
        .collect();
    let variable = setting.get_env().unwrap_or_default().to_string_lossy();
    let number = bounds_of(setting).and_then(|bounds| closest_number(&variable, &bounds, value));
    let word = match value.to_lowercase().as_str() {
        "yes" | "on" | "1" => closest("true", &words),
        "no" | "off" | "0" => closest("false", &words),
        word => closest(word, &words),
    };
    let others = match flag {
        "listen" => addresses(value),
        "public-url" => origins(value),
        "frame-ancestors" => vec![sources(value)],
        "viewport" => sizes(value),
        "log" => vec![log_filter(value)],
        "browser" => closest(value, &["shell", "chromium"]).into_iter().collect(),
        "cors-origins" => vec![origin_list(value)],
        "egress-allow" => vec![destinations(value)],
        "ignore-certificate-errors" => vec![https_sites(value)],
        "user-agent" => vec![value.replace(|letter: char| letter.is_control(), " ")],
        "data-dir" => vec!["/var/lib/hearth".to_owned()],
        _ => Vec::new(),
    };
    [value.to_owned()]
        .into_iter()
        .chain(number)
        .chain(word)
        .chain(others)
}

/// Removes quotes and a comment, which some readers of environment files keep.
fn unquoted(value: &str) -> &str {
    let value = value.split(" #").next().unwrap_or_default().trim();
    ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(value)
        .trim()
}

fn addresses(value: &str) -> Vec<String> {
    let address = value.split_once("://").map_or(value, |(_, rest)| rest);
    let address = address.trim_end_matches('/');
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    vec![
        address.to_owned(),
        format!("127.0.0.1:{address}"),
        format!("127.0.0.1{address}"),
        format!("{address}:3010"),
        format!("[{address}]:3010"),
        format!("{host}:3010"),
        format!("127.0.0.1:{port}"),
    ]
}

fn sources(value: &str) -> String {
    let directive = value.split(';').next().unwrap_or_default();
    let sources: Vec<&str> = directive
        .split([',', ' '])
        .filter(|source| !["", "frame-ancestors"].contains(source))
        .map(|source| match source.trim_matches(['\'', '"']) {
            "self" => "'self'",
            "none" => "'none'",
            other => other,
        })
        .collect();
    let others: Vec<&str> = sources
        .iter()
        .copied()
        .filter(|source| *source != "'none'")
        .collect();
    let sources = if others.is_empty() { sources } else { others };
    sources.join(" ")
}

fn sizes(value: &str) -> Vec<String> {
    let sides: Vec<u32> = value
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|side| side.parse().ok())
        .collect();
    let [width, height] = sides[..] else {
        return Vec::new();
    };
    let [width, height] = [width, height].map(|side| side.clamp(100, 7680));
    vec![format!("{width}x{height}")]
}

fn log_filter(value: &str) -> String {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    let level = |word: &str| closest(&word.trim().to_lowercase(), &LEVELS);
    let directives: Option<Vec<String>> = value
        .split(',')
        .map(|directive| match directive.rsplit_once('=') {
            Some((target, word)) => Some(format!("{}={}", target.trim(), level(word)?)),
            None => level(directive),
        })
        .collect();
    directives.unwrap_or_default().join(",")
}

#[cfg(test)]
mod tests;
