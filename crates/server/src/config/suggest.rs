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
const EXAMPLES: [(&str, &str); 9] = [
    ("api-keys", "name:key"),
    ("public-url", "https://hearth.example"),
    ("cors-origins", "https://app.example"),
    ("user-agent", "Example/1.0"),
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
mod tests {
    use super::super::describe::with_bounds;
    use super::*;

    fn setting(flag: &str) -> Arg {
        let command = Config::augment_args(Command::new("serve"));
        let found = command
            .get_arguments()
            .find(|argument| argument.get_long() == Some(flag));
        with_bounds(found.expect("a setting").clone())
    }

    #[test]
    fn a_value_is_corrected_if_its_meaning_is_clear() {
        for (flag, value, expected) in [
            ("listen", "3010", "HEARTH_LISTEN=127.0.0.1:3010"),
            ("listen", ":8080", "HEARTH_LISTEN=127.0.0.1:8080"),
            (
                "egress",
                "localhost:3000",
                "HEARTH_EGRESS_ALLOW=localhost:3000",
            ),
            ("listen", "0.0.0.0", "HEARTH_LISTEN=0.0.0.0:3010"),
            ("listen", "::1", "HEARTH_LISTEN=[::1]:3010"),
            (
                "listen",
                "http://127.0.0.1:80/",
                "HEARTH_LISTEN=127.0.0.1:80",
            ),
            ("listen", "127.0.0.1:99999", "HEARTH_LISTEN=127.0.0.1:3010"),
            ("listen", "'127.0.0.1:80'", "HEARTH_LISTEN=127.0.0.1:80"),
            (
                "public-url",
                "h.example",
                "HEARTH_PUBLIC_URL=https://h.example",
            ),
            (
                "public-url",
                "http://u:p@h.example/x",
                "HEARTH_PUBLIC_URL=http://h.example",
            ),
            (
                "public-url",
                "localhost:3010",
                "HEARTH_PUBLIC_URL=http://localhost:3010",
            ),
            (
                "cors-origins",
                "https://a.test/, b.test;localhost:5173 ",
                "HEARTH_CORS_ORIGINS=https://a.test,https://b.test,http://localhost:5173",
            ),
            (
                "ignore-certificate-errors",
                "https://a.test:8443/x; [::1]:8443",
                "HEARTH_IGNORE_CERTIFICATE_ERRORS=a.test:8443,[::1]:8443",
            ),
            (
                "frame-ancestors",
                "none",
                "HEARTH_FRAME_ANCESTORS=\"'none'\"",
            ),
            (
                "frame-ancestors",
                "self, https://a.example;",
                "HEARTH_FRAME_ANCESTORS=\"'self' https://a.example\"",
            ),
            ("viewport", "1280X720", "HEARTH_VIEWPORT=1280x720"),
            ("viewport", "10 x 99999", "HEARTH_VIEWPORT=100x7680"),
            ("log", "inof", "HEARTH_LOG=info"),
            (
                "log",
                "warning,hearth_browser=DEBUGG",
                "HEARTH_LOG=warn,hearth_browser=debug",
            ),
            ("log-format", "jsonl", "HEARTH_LOG_FORMAT=json"),
            ("isolation", "DEFAULT", "HEARTH_ISOLATION=default"),
            (
                "egress-allow-metadata",
                "yes",
                "HEARTH_EGRESS_ALLOW_METADATA=true",
            ),
            ("browser", "chrome", "HEARTH_BROWSER=chromium"),
            ("max-tabs", "0", "HEARTH_MAX_TABS=1"),
            ("max-tabs", "-5", "HEARTH_MAX_TABS=1"),
            (
                "max-output-bytes",
                "10M",
                "HEARTH_MAX_OUTPUT_BYTES=10485760",
            ),
            ("session-memory-mb", "2G", "HEARTH_SESSION_MEMORY_MB=2048"),
            (
                "stop-grace-seconds",
                "1.5 min",
                "HEARTH_STOP_GRACE_SECONDS=90",
            ),
            (
                "keep-executions-hours",
                "7 days # a week",
                "HEARTH_KEEP_EXECUTIONS_HOURS=168",
            ),
            ("session-files", "1e6", "HEARTH_SESSION_FILES=1000000"),
            (
                "user-agent",
                "two\nlines",
                "HEARTH_USER_AGENT=\"two lines\"",
            ),
        ] {
            let fix = suggest_value(&setting(flag), value, false).unwrap_or_default();
            assert_eq!(fix, format!("set {expected}"), "{value}");
        }
        let fix = suggest_value(&setting("egress-allow"), "localhost, a.example", false);
        let expected = "set HEARTH_EGRESS_ALLOW=localhost:3000,a.example:443   (with";
        assert!(
            fix.as_ref().is_some_and(|fix| fix.starts_with(expected)),
            "{fix:?}"
        );
        let fix = suggest_value(&setting("egress-allow"), "http://localhost:5173/", false);
        let expected = "set HEARTH_EGRESS_ALLOW=localhost:5173";
        assert_eq!(fix.as_deref(), Some(expected));
        let fix = suggest_value(&setting("log"), "inof", true);
        assert_eq!(fix.as_deref(), Some("set --log=info"));
    }

    #[test]
    fn a_value_without_a_meaning_is_replaced_by_the_default_or_described() {
        for (flag, expected) in [
            ("listen", "set HEARTH_LISTEN=127.0.0.1:3010   (the default)"),
            ("viewport", "set HEARTH_VIEWPORT=1280x720   (the default)"),
            ("isolation", "set HEARTH_ISOLATION=auto   (the default)"),
            (
                "max-sessions",
                "set HEARTH_MAX_SESSIONS to a whole number from 1 to 10000",
            ),
            (
                "egress-allow",
                "set HEARTH_EGRESS_ALLOW to a value such as localhost:3000",
            ),
            ("egress", "set HEARTH_EGRESS to a value such as filtered"),
            (
                "cors-origins",
                "set HEARTH_CORS_ORIGINS to a value such as https://app.example",
            ),
            (
                "ignore-certificate-errors",
                "set HEARTH_IGNORE_CERTIFICATE_ERRORS to a value such as dev.internal:8443",
            ),
        ] {
            let fix = suggest_value(&setting(flag), "?", false);
            assert_eq!(fix.as_deref(), Some(expected));
        }
    }

    #[test]
    fn secrets_are_not_suggested() {
        let fix = suggest_value(&setting("egress-proxy"), "u:secret@p.example", false);
        assert!(fix.is_some_and(|fix| !fix.contains("secret")));
    }

    #[test]
    fn a_misspelt_name_is_corrected() {
        let known = [
            "LISTEN",
            "LOG",
            "LOG_FORMAT",
            "MAX_SESSIONS",
            "API_KEYS",
            "MAX_TABS",
            "EGRESS",
            "EGRESS_ALLOW",
            "EGRESS_ALLOW_METADATA",
            "SESSION_MEMORY_MB",
            "MIN_FREE_DISK_MB",
            "MIN_FREE_MEMORY_MB",
        ];
        let known = known.map(|name| format!("{PREFIX}{name}"));
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        for (name, expected) in [
            ("MAX_SESSION", Some("MAX_SESSIONS")),
            ("API_KEY", Some("API_KEYS")),
            ("LISTENS", Some("LISTEN")),
            ("PORT", Some("LISTEN")),
            ("KEYS", Some("API_KEYS")),
            ("SESSIONS_MAX", Some("MAX_SESSIONS")),
            ("LOG_LEVEL", Some("LOG")),
            ("MAX_SESSION_S", Some("MAX_SESSIONS")),
            ("MAXTABS", Some("MAX_TABS")),
            ("SESSION_MEMORY", Some("SESSION_MEMORY_MB")),
            ("MIN_FREE_MEM", Some("MIN_FREE_MEMORY_MB")),
            ("EGRESS_ALLOW_LIST", Some("EGRESS_ALLOW")),
            ("EGRESS_ALLOWED", Some("EGRESS_ALLOW")),
            ("EGRESS_ALOW", Some("EGRESS_ALLOW")),
            ("EGRESS_A", Some("EGRESS_ALLOW")),
            ("MAX_SESSIONS_TOTAL", Some("MAX_SESSIONS")),
            ("QUUX", None),
            ("", None),
        ] {
            let close = suggest_name(&format!("{PREFIX}{name}"), &known);
            let expected = expected.map(|name| format!("{PREFIX}{name}"));
            assert_eq!(close, expected, "{name}");
        }
    }
}
