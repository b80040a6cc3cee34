//! Settings: shown in the help, rejected in one line when invalid, and applied.

use std::net::TcpListener;

use hearth_test_support::{TestServer, new_data_dir};
use serde_json::json;

const SETTINGS: [&str; 60] = [
    "HEARTH_LISTEN",
    "HEARTH_API_KEYS",
    "HEARTH_API_KEYS_FILE",
    "HEARTH_OPERATOR_KEY",
    "HEARTH_OPERATOR_KEY_FILE",
    "HEARTH_PUBLIC_URL",
    "HEARTH_FRAME_ANCESTORS",
    "HEARTH_CORS_ORIGINS",
    "HEARTH_ENV_FILE",
    "HEARTH_DATA_DIR",
    "HEARTH_RUNTIME_DIR",
    "HEARTH_BROWSER",
    "HEARTH_USER_AGENT",
    "HEARTH_VIEWPORT",
    "HEARTH_MAX_SESSIONS",
    "HEARTH_MAX_OUTPUT_BYTES",
    "HEARTH_SESSION_MEMORY_MB",
    "HEARTH_SESSION_PROCESSES",
    "HEARTH_SESSION_OPEN_FILES",
    "HEARTH_SESSION_DISK_MB",
    "HEARTH_SESSION_FILES",
    "HEARTH_MIN_FREE_DISK_MB",
    "HEARTH_MIN_FREE_MEMORY_MB",
    "HEARTH_MAX_DOWNLOAD_MB",
    "HEARTH_MAX_TABS",
    "HEARTH_KEEP_SESSIONS_HOURS",
    "HEARTH_KEEP_EXECUTIONS_HOURS",
    "HEARTH_EXECUTION_HISTORY",
    "HEARTH_SCRAPE_KEEP_SECONDS",
    "HEARTH_PROFILE_CHECKPOINT_SECONDS",
    "HEARTH_STOP_GRACE_SECONDS",
    "HEARTH_ISOLATION",
    "HEARTH_UIDS",
    "HEARTH_DANGEROUSLY_ALLOW_REMOTE_UNSANDBOXED",
    "HEARTH_EGRESS",
    "HEARTH_EGRESS_ALLOW",
    "HEARTH_EGRESS_ALLOW_METADATA",
    "HEARTH_EGRESS_PROXY",
    "HEARTH_EGRESS_PROXIES",
    "HEARTH_BLOCK_ADS",
    "HEARTH_BLOCK_HOSTS_FILE",
    "HEARTH_CA_FILE",
    "HEARTH_IGNORE_CERTIFICATE_ERRORS",
    "HEARTH_DATABASE_URL",
    "HEARTH_DATABASE_URL_FILE",
    "HEARTH_CLUSTER_SECRET",
    "HEARTH_CLUSTER_SECRET_FILE",
    "HEARTH_NODE_NAME",
    "HEARTH_PEER_LISTEN",
    "HEARTH_PEER_ADDRESS",
    "HEARTH_PEER_TLS",
    "HEARTH_PROFILE_STORE",
    "HEARTH_S3_ENDPOINT",
    "HEARTH_S3_REGION",
    "HEARTH_S3_KEYS_FILE",
    "HEARTH_DRAIN_SECONDS",
    "HEARTH_RETIRE_AFTER_SESSIONS",
    "HEARTH_DANGEROUSLY_ALLOW_UNSANDBOXED_CLUSTER",
    "HEARTH_LOG",
    "HEARTH_LOG_FORMAT",
];

/// Values that are invalid for the named setting.
const BAD_VALUES: [(&str, &[&str]); 51] = [
    (
        "HEARTH_LISTEN",
        &[
            "nonsense",
            "127.0.0.1",
            "127.0.0.1:99999",
            "0.0.0.0:0",
            "[::]:0",
        ],
    ),
    ("HEARTH_API_KEYS_FILE", &["/nowhere/keys", "/dev/null"]),
    // An operator key requires API keys.
    ("HEARTH_OPERATOR_KEY", &["secret"]),
    ("HEARTH_OPERATOR_KEY_FILE", &["/nowhere/key", "/dev/null"]),
    (
        "HEARTH_API_KEYS",
        &["name:", ":key", "a:k,b:k", "one,two,one"],
    ),
    (
        "HEARTH_PUBLIC_URL",
        &[
            "nonsense",
            "ftp://hearth.example",
            "https://",
            "https://hearth.example/prefix",
            "https://hearth.example:99999",
        ],
    ),
    (
        "HEARTH_FRAME_ANCESTORS",
        &[
            "self https://a.example;",
            "https://a.example, *",
            "'none' *",
            "\u{e9}",
        ],
    ),
    (
        "HEARTH_CORS_ORIGINS",
        &[
            "*",
            "null",
            "app.example",
            "https://a.example/path",
            "https://a.example,,",
        ],
    ),
    ("HEARTH_ENV_FILE", &["/nowhere/env", "/etc/passwd"]),
    ("HEARTH_DATA_DIR", &["/dev/null", "/proc/nowhere/hearth"]),
    ("HEARTH_RUNTIME_DIR", &["/nowhere", "/dev/null"]),
    (
        "HEARTH_BROWSER",
        &["firefox", "/nowhere/chromium", "/dev/null", "/tmp"],
    ),
    ("HEARTH_USER_AGENT", &["two\nlines"]),
    (
        "HEARTH_VIEWPORT",
        &["wide", "1280", "0x720", "1280x", "-1x720", "1280x720x2"],
    ),
    ("HEARTH_MAX_SESSIONS", &["0", "-1", "many", "1.5"]),
    ("HEARTH_MAX_OUTPUT_BYTES", &["0", "-1", "10M", "lots"]),
    ("HEARTH_SESSION_MEMORY_MB", &["0", "255", "2G"]),
    ("HEARTH_SESSION_PROCESSES", &["0", "63", "many"]),
    ("HEARTH_SESSION_OPEN_FILES", &["0", "255"]),
    ("HEARTH_SESSION_DISK_MB", &["0", "31", "2GB"]),
    ("HEARTH_SESSION_FILES", &["0", "999", "1e6"]),
    ("HEARTH_MIN_FREE_DISK_MB", &["-1", "little"]),
    ("HEARTH_MIN_FREE_MEMORY_MB", &["-1", "256M"]),
    ("HEARTH_MAX_DOWNLOAD_MB", &["0", "1.5"]),
    ("HEARTH_MAX_TABS", &["0", "-1"]),
    ("HEARTH_KEEP_SESSIONS_HOURS", &["0", "-1", "1d", "9000"]),
    ("HEARTH_KEEP_EXECUTIONS_HOURS", &["0", "7 days"]),
    ("HEARTH_EXECUTION_HISTORY", &["on", "all", "team,operator"]),
    ("HEARTH_SCRAPE_KEEP_SECONDS", &["-1", "301", "1m"]),
    ("HEARTH_PROFILE_CHECKPOINT_SECONDS", &["-1", "1m", "3601"]),
    ("HEARTH_STOP_GRACE_SECONDS", &["-1", "301", "5s"]),
    ("HEARTH_ISOLATION", &["strict", "off", "DEFAULT"]),
    (
        "HEARTH_UIDS",
        &["0-100", "1-10", "5", "10-5", "65000-66000", "a-b"],
    ),
    ("HEARTH_DANGEROUSLY_ALLOW_REMOTE_UNSANDBOXED", &["yes", "1"]),
    ("HEARTH_EGRESS", &["on", "FILTERED", "none"]),
    (
        "HEARTH_EGRESS_ALLOW",
        &[
            "localhost",
            "3000",
            "http://localhost:3000",
            "10.0.0.1/8:443",
            "127.0.0.1:99999",
            "*:80",
            "::1:80",
        ],
    ),
    ("HEARTH_EGRESS_ALLOW_METADATA", &["yes", "1", "TRUE"]),
    (
        "HEARTH_EGRESS_PROXY",
        &[
            "proxy.example:3128",
            "https://proxy.example",
            "socks5://proxy.example",
            "http://p/x",
        ],
    ),
    (
        "HEARTH_EGRESS_PROXIES",
        &[
            "http://proxy.example:3128",
            "de=proxy.example:3128",
            "uk=http://proxy.example",
            "de=http://a.example,DE=http://b.example",
        ],
    ),
    ("HEARTH_BLOCK_ADS", &["true", "always", "NEVER"]),
    (
        "HEARTH_BLOCK_HOSTS_FILE",
        &["/nowhere/hosts", "/tmp", "/proc/self/cmdline"],
    ),
    ("HEARTH_CA_FILE", &["/nowhere/ca.pem", "/dev/null", "/tmp"]),
    (
        "HEARTH_IGNORE_CERTIFICATE_ERRORS",
        &["localhost", "*:443", "https://a.example", "127.0.0.1:99999"],
    ),
    (
        "HEARTH_DATABASE_URL",
        &[
            "hearth",
            "mysql://localhost/hearth",
            "postgresql://localhost",
        ],
    ),
    ("HEARTH_DATABASE_URL_FILE", &["/nowhere/url", "/dev/null"]),
    // These require a database.
    ("HEARTH_CLUSTER_SECRET", &["short"]),
    ("HEARTH_NODE_NAME", &["node-a"]),
    ("HEARTH_PEER_TLS", &["on"]),
    ("HEARTH_DRAIN_SECONDS", &["-1", "1h"]),
    ("HEARTH_LOG", &["hearth=loudly", "inof", "hearth="]),
    ("HEARTH_LOG_FORMAT", &["xml"]),
];

#[tokio::test]
async fn the_help_shows_every_setting_as_a_variable_and_as_a_flag() {
    let help = TestServer::builder().argument("--help").refused().await;
    assert_eq!(help.code, Some(0), "{help:?}");
    for name in SETTINGS {
        assert!(
            help.stdout.contains(name),
            "{name} is not in the help:\n{}",
            help.stdout
        );
        let flag = format!(
            "--{}",
            name.trim_start_matches("HEARTH_")
                .to_lowercase()
                .replace('_', "-")
        );
        assert!(
            help.stdout.contains(&flag),
            "{flag} is not in the help:\n{}",
            help.stdout
        );
    }
}

#[tokio::test]
async fn an_invalid_value_is_one_clear_line_with_its_fix_and_exit_code_78() {
    for (name, values) in BAD_VALUES {
        for value in values {
            let rejection = TestServer::builder().setting(name, value).refused().await;
            assert_eq!(rejection.code, Some(78), "{name}={value}: {rejection:?}");
            let lines: Vec<&str> = rejection.stderr.trim_end().lines().collect();
            assert!(
                lines.len() == 2 && lines[1].starts_with("  fix: ") && !lines[1].contains("unset"),
                "{name}={value}: {}",
                rejection.stderr
            );
            assert!(
                lines[0].contains(name),
                "{name}={value} is not named: {}",
                rejection.stderr
            );
        }
    }
}

#[tokio::test]
async fn an_invalid_flag_is_rejected_like_its_variable() {
    let rejection = TestServer::builder()
        .argument("--viewport=wide")
        .refused()
        .await;
    assert_eq!(
        (rejection.code, rejection.stderr.trim_end().lines().last()),
        (
            Some(78),
            Some("  fix: set --viewport=1280x720   (the default)")
        ),
        "{rejection:?}"
    );
}

#[tokio::test]
async fn the_fix_is_the_corrected_value_and_contains_the_whole_list() {
    for (name, value, fix) in [
        (
            "HEARTH_CORS_ORIGINS",
            "https://shop.test,localhost:5173",
            "https://shop.test,http://localhost:5173",
        ),
        (
            "HEARTH_PUBLIC_URL",
            "localhost:3010",
            "http://localhost:3010",
        ),
        (
            "HEARTH_IGNORE_CERTIFICATE_ERRORS",
            "https://localhost:8443/ dev.internal:443",
            "localhost:8443,dev.internal:443",
        ),
        (
            "HEARTH_EGRESS_ALLOW",
            "http://api.corp:8080",
            "api.corp:8080",
        ),
    ] {
        let variable = TestServer::builder().setting(name, value);
        let flag = name.trim_start_matches("HEARTH_").to_lowercase();
        let flag = format!("--{}", flag.replace('_', "-"));
        let argument = TestServer::builder().argument(&format!("{flag}={value}"));
        for (builder, name) in [(variable, name), (argument, flag.as_str())] {
            let rejection = builder.refused().await;
            assert_eq!(
                rejection.stderr.lines().nth(1),
                Some(&*format!("  fix: set {name}={fix}")),
                "{rejection:?}"
            );
        }
    }
}

#[tokio::test]
async fn keys_are_not_printed_when_the_start_fails() {
    let builder = TestServer::builder().setting("HEARTH_API_KEYS", "team:sesame-1,team2:sesame-1");
    let rejection = builder.refused().await;
    assert_eq!(rejection.code, Some(78), "{rejection:?}");
    assert!(!rejection.stderr.contains("sesame"), "{}", rejection.stderr);
}

#[tokio::test]
async fn with_keys_the_server_may_listen_on_other_addresses_than_loopback() {
    let builder = TestServer::builder()
        .without_browser()
        .setting("HEARTH_API_KEYS", "secret")
        .setting("HEARTH_LISTEN", "0.0.0.0:0");
    // The readiness line has an address that a client can use unchanged.
    let server = builder.start().await;
    server.with_key("secret").list("").await.ok();
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_setting_is_a_warning_with_its_name_and_the_one_that_is_meant() {
    let server = TestServer::builder()
        .without_browser()
        .setting("HEARTH_MAX_SESSION", "3")
        .start()
        .await;
    // The warning precedes the line that says the server is ready.
    server.list("").await.ok();
    let output = server.output();
    let line = output
        .lines()
        .find(|line| line.contains("\"HEARTH_MAX_SESSION\""))
        .unwrap_or_default();
    assert!(
        line.to_lowercase().contains("warn") && line.contains("did you mean HEARTH_MAX_SESSIONS?"),
        "{output}"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_flag_takes_precedence_over_its_variable() {
    let builder = TestServer::builder()
        .setting("HEARTH_MAX_SESSIONS", "5")
        .argument("--max-sessions=1");
    let server = builder.start().await;
    server.session().await;
    assert_eq!(server.create(&json!({})).await.status, 429);
    server.stop().await;
}

#[tokio::test]
async fn the_page_is_1280_by_720_and_its_user_agent_does_not_say_headless() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let seen = session
        .node("await page.evaluate(() => [innerWidth, innerHeight, navigator.userAgent])")
        .await
        .ok();
    let seen = seen.json();
    assert_eq!((&seen[0], &seen[1]), (&json!(1280), &json!(720)));
    let agent = seen[2].as_str().unwrap_or_default();
    assert!(
        agent.contains("Chrome/") && !agent.contains("Headless"),
        "{agent}"
    );
    // A tab that is opened later has the same values.
    let code = "const tab = await context.newPage(); \
                const later = await tab.evaluate(() => [innerWidth, innerHeight, navigator.userAgent]); later";
    assert_eq!(session.node(code).await.ok().json(), seen);
    server.stop().await;
}

#[tokio::test]
async fn viewport_and_user_agent_follow_the_settings() {
    let builder = TestServer::builder().setting("HEARTH_VIEWPORT", "801x602");
    let server = builder
        .setting("HEARTH_USER_AGENT", "Lantern/1.0")
        .start()
        .await;
    let session = server.session().await;
    let seen = session
        .node("await page.evaluate(() => [innerWidth, innerHeight, navigator.userAgent])")
        .await
        .ok();
    assert_eq!(seen.json(), json!([801, 602, "Lantern/1.0"]));
    server.stop().await;
}

#[tokio::test]
async fn logs_are_json_lines_in_the_json_format() {
    let builder = TestServer::builder()
        .without_browser()
        .setting("HEARTH_LOG_FORMAT", "json")
        .setting("HEARTH_UNKNOWN", "1");
    let server = builder.start().await;
    let output = server.output();
    let line = output
        .lines()
        .find(|line| line.contains("HEARTH_UNKNOWN"))
        .unwrap_or_default();
    assert!(
        serde_json::from_str::<serde_json::Value>(line).is_ok(),
        "{output}"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_port_in_use_is_a_setting_to_fix_and_the_fix_names_a_free_port() {
    let other = TcpListener::bind("127.0.0.1:0").expect("loopback is available");
    let taken = other.local_addr().expect("it is bound").to_string();
    let rejection = TestServer::builder()
        .without_browser()
        .setting("HEARTH_LISTEN", &taken)
        .refused()
        .await;
    assert_eq!(rejection.code, Some(78), "{rejection:?}");
    let expected = format!(
        "hearth: HEARTH_LISTEN: cannot listen: {taken} is in use by another program\n  fix: set HEARTH_LISTEN=127.0.0.1:"
    );
    assert!(rejection.stderr.contains(&expected), "{}", rejection.stderr);
}

#[tokio::test]
async fn a_second_server_on_the_same_data_dir_is_rejected() {
    let dir = new_data_dir();
    let first = TestServer::builder().data_dir(dir.path()).start().await;
    let session = first.session().await;
    let rejection = TestServer::builder().data_dir(dir.path()).refused().await;
    assert_ne!(rejection.code, Some(0), "{rejection:?}");
    assert!(
        rejection.stderr.contains(&*dir.path().to_string_lossy()),
        "{}",
        rejection.stderr
    );
    assert_eq!(session.node("1+1").await.ok().result, "2");
    first.stop().await;
    TestServer::builder()
        .data_dir(dir.path())
        .start()
        .await
        .stop()
        .await;
}
