//! Tests the suggestions for misspelt settings.

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
            "set HEARTH_MAX_SESSIONS to a whole number from 0 to 10000",
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
