//! `hearth doctor`: every check reports, failures name a fix, and the doctor neither leaves nor
//! disturbs anything.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use hearth_test_support::{Doctor, Finding, TestServer, new_data_dir};
use nix::sys::signal::Signal;
use serde_json::Value;

/// The checks of a complete report.
const CHECKS: [&str; 32] = [
    "system",
    "settings",
    "data directory",
    "user ids",
    "empty start",
    "server",
    "files",
    "file metadata",
    "TCP ports",
    "other sockets",
    "Unix sockets",
    "kernel",
    "System V IPC",
    "/tmp, /dev/shm",
    "browser sandbox",
    "browser",
    "CDP rules",
    "shared memory",
    "fonts",
    "runtime",
    "node",
    "acorn",
    "python",
    "playwright",
    "agent-browser",
    "bash",
    "pins",
    "memory",
    "open files",
    "warm sessions",
    "egress",
    "address",
];

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).expect("the dir exists").next().is_none()
}

#[track_caller]
fn assert_fixed_by(finding: &Finding, words: &str) {
    assert!(
        finding.fixes.iter().any(|fix| fix.contains(words)),
        "no fix contains {words:?}: {finding:#?}"
    );
}

#[tokio::test]
async fn on_a_prepared_machine_every_line_is_ok_or_a_note() {
    let dir = new_data_dir();
    let diagnosis = Doctor::with_data_dir(dir.path()).run().await;
    assert_eq!(
        (diagnosis.code, diagnosis.stderr.as_str()),
        (Some(0), ""),
        "{}",
        diagnosis.stdout
    );
    assert_eq!(diagnosis.failures(), []);
    let checks: Vec<String> = diagnosis
        .findings()
        .into_iter()
        .map(|finding| finding.check)
        .collect();
    assert_eq!(checks, CHECKS);
    let last = diagnosis.stdout.lines().last().unwrap_or_default();
    assert!(last.starts_with("All checks passed"), "{last}");
    let browser = diagnosis.finding("browser").text;
    assert!(
        browser.contains("Chromium") && browser.contains("first page after"),
        "{browser}"
    );
}

#[tokio::test]
async fn it_reports_the_egress_policy_and_fails_for_an_unreachable_proxy() {
    let dir = new_data_dir();
    let doctor = || Doctor::with_data_dir(dir.path());
    let usual = doctor().run().await.finding("egress");
    assert_eq!(
        (usual.severity.as_str(), usual.text.as_str()),
        ("ok", "sessions reach public addresses")
    );
    let open = doctor()
        .setting("HEARTH_EGRESS", "open")
        .run()
        .await
        .finding("egress");
    assert_eq!(open.severity, "note");
    let proxy = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address");
    let url = format!("http://user:secret@{proxy}");
    let diagnosis = doctor().setting("HEARTH_EGRESS_PROXY", &url).run().await;
    assert_eq!(diagnosis.code, Some(78));
    let finding = diagnosis.finding("egress");
    assert!(
        finding.text.contains(&proxy.to_string()) && !diagnosis.stdout.contains("secret"),
        "{}",
        diagnosis.stdout
    );
    let misspelt = doctor()
        .setting("HEARTH_EGRESS_ALLOW", "localhost")
        .run()
        .await;
    assert_fixed_by(
        &misspelt.finding("settings"),
        "fix: set HEARTH_EGRESS_ALLOW=localhost:3000",
    );
}

#[tokio::test]
async fn a_report_into_a_file_has_no_colours() {
    let dir = new_data_dir();
    let diagnosis = Doctor::with_data_dir(dir.path())
        .setting("HEARTH_BROWSER", "/nowhere/chromium")
        .run()
        .await;
    assert!(!diagnosis.stdout.contains('\x1b'), "{}", diagnosis.stdout);
}

#[tokio::test]
async fn a_missing_browser_fails_and_the_other_checks_still_run() {
    let dir = new_data_dir();
    let diagnosis = Doctor::with_data_dir(dir.path())
        .setting("HEARTH_BROWSER", "/nowhere/chromium")
        .run()
        .await;
    assert_eq!(diagnosis.code, Some(78), "{}", diagnosis.stdout);
    let failures: Vec<String> = diagnosis
        .failures()
        .into_iter()
        .map(|finding| finding.check)
        .collect();
    assert_eq!(failures, ["browser"]);
    assert_fixed_by(&diagnosis.finding("browser"), "HEARTH_BROWSER");
    assert_eq!(diagnosis.finding("python").severity, "ok");
}

#[tokio::test]
async fn the_fix_for_a_missing_distribution_browser_is_apt_get() {
    // A machine usually has only one of the two.
    let known = [
        ("chromium", "/usr/lib/chromium/chromium", "chromium"),
        (
            "shell",
            "/usr/lib/chromium/chromium-headless-shell",
            "chromium-headless-shell",
        ),
    ];
    for (word, path, package) in known {
        let dir = new_data_dir();
        let diagnosis = Doctor::with_data_dir(dir.path())
            .setting("HEARTH_BROWSER", word)
            .run()
            .await;
        let browser = diagnosis.finding("browser");
        if Path::new(path).exists() {
            assert_eq!(
                (browser.severity.as_str(), diagnosis.code),
                ("ok", Some(0)),
                "{}",
                diagnosis.stdout
            );
        } else {
            assert_eq!(
                (browser.severity.as_str(), diagnosis.code),
                ("FAIL", Some(78)),
                "{}",
                diagnosis.stdout
            );
            assert_fixed_by(
                &browser,
                &format!("apt-get install -y --no-install-recommends {package}"),
            );
        }
    }
}

#[tokio::test]
async fn a_program_that_is_not_a_browser_fails_with_its_own_output() {
    let dir = new_data_dir();
    let diagnosis = Doctor::with_data_dir(dir.path())
        .setting("HEARTH_BROWSER", "/bin/bash")
        .run()
        .await;
    assert_eq!(diagnosis.code, Some(78), "{}", diagnosis.stdout);
    let browser = diagnosis.finding("browser");
    assert!(browser.text.contains("GNU bash"), "{browser:?}");
}

#[tokio::test]
async fn a_data_dir_that_is_not_writable_fails_and_the_browser_is_tested_elsewhere() {
    let diagnosis = Doctor::with_data_dir(Path::new("/proc/nowhere/hearth"))
        .run()
        .await;
    assert_eq!(diagnosis.code, Some(78), "{}", diagnosis.stdout);
    assert_fixed_by(&diagnosis.finding("data directory"), "HEARTH_DATA_DIR");
    assert_eq!(
        diagnosis.finding("browser").severity,
        "ok",
        "{}",
        diagnosis.stdout
    );
}

#[tokio::test]
async fn a_data_dir_with_too_long_a_path_fails_and_names_the_max_length() {
    let dir = new_data_dir();
    let long = dir.path().join("a-name-that-takes-all-the-room-of-sockets");
    let diagnosis = Doctor::with_data_dir(&long).run().await;
    let finding = diagnosis.finding("data directory");
    assert_eq!(
        (diagnosis.code, finding.severity.as_str()),
        (Some(78), "FAIL"),
        "{}",
        diagnosis.stdout
    );
    assert!(
        finding.text.contains("45") && is_empty(dir.path()),
        "{finding:?}"
    );
}

#[tokio::test]
async fn every_invalid_setting_has_its_own_line() {
    let dir = new_data_dir();
    let doctor = Doctor::with_data_dir(dir.path()).setting("HEARTH_VIEWPORT", "wide");
    let diagnosis = doctor
        .setting("HEARTH_MAX_SESSIONS", "many")
        .argument("--log=inof")
        .run()
        .await;
    assert_eq!(diagnosis.code, Some(78), "{}", diagnosis.stdout);
    let failures = diagnosis.failures();
    assert_eq!(failures.len(), 3, "{failures:#?}");
    for (finding, (name, fix)) in failures.iter().zip([
        ("HEARTH_VIEWPORT", "set HEARTH_VIEWPORT=1280x720"),
        (
            "HEARTH_MAX_SESSIONS",
            "set HEARTH_MAX_SESSIONS to a whole number from 0 to 10000",
        ),
        ("HEARTH_LOG", "set --log=info"),
    ]) {
        assert!(
            finding.check == "settings" && finding.text.starts_with(name),
            "{finding:?}"
        );
        assert_fixed_by(finding, fix);
    }
    assert_eq!(
        diagnosis.finding("browser").severity,
        "ok",
        "{}",
        diagnosis.stdout
    );
}

#[tokio::test]
async fn keys_are_not_printed() {
    let dir = new_data_dir();
    let doctor =
        Doctor::with_data_dir(dir.path()).setting("HEARTH_API_KEYS", "a:sesame-1,b:sesame-1");
    let diagnosis = doctor.run().await;
    assert_eq!(
        diagnosis.finding("settings").severity,
        "FAIL",
        "{}",
        diagnosis.stdout
    );
    assert!(!diagnosis.stdout.contains("sesame"), "{}", diagnosis.stdout);
}

#[tokio::test]
async fn an_unknown_variable_is_a_note() {
    let dir = new_data_dir();
    let diagnosis = Doctor::with_data_dir(dir.path())
        .setting("HEARTH_MAX_SESSION", "3")
        .run()
        .await;
    let finding = diagnosis.finding("settings");
    assert_eq!(
        (diagnosis.code, finding.severity.as_str()),
        (Some(0), "note"),
        "{}",
        diagnosis.stdout
    );
    assert!(finding.text.contains("HEARTH_MAX_SESSION"), "{finding:?}");
    assert_fixed_by(
        &finding,
        "did you mean HEARTH_MAX_SESSIONS instead of HEARTH_MAX_SESSION?",
    );
}

#[tokio::test]
async fn a_missing_runtime_is_one_failure_whose_fix_is_the_setup() {
    let dir = new_data_dir();
    let runtime = dir.path().join("runtime");
    fs::create_dir_all(runtime.join("node")).expect("a dir");
    fs::write(runtime.join("node/kernel.mjs"), "").expect("a file");
    let doctor = Doctor::with_data_dir(&dir.path().join("data"));
    let diagnosis = doctor
        .setting("HEARTH_RUNTIME_DIR", &runtime.to_string_lossy())
        .run()
        .await;
    assert_eq!(diagnosis.code, Some(78), "{}", diagnosis.stdout);
    let failures = diagnosis.failures();
    assert_eq!(failures.len(), 1, "{failures:#?}");
    assert!(
        failures[0].check == "runtime" && failures[0].text.contains(".installed/bin/node"),
        "{failures:?}"
    );
    assert_fixed_by(&failures[0], "make setup");
}

#[tokio::test]
async fn an_interpreter_that_does_not_start_fails_with_its_own_output() {
    let dir = new_data_dir();
    let (runtime, installed) = (
        dir.path().join("runtime"),
        hearth_test_support::repository().join("runtime"),
    );
    fs::create_dir_all(runtime.join(".installed/bin")).expect("a dir");
    for part in [
        "node",
        "python",
        ".installed/venv",
        ".installed/acorn",
        ".installed/playwright-core",
    ] {
        std::os::unix::fs::symlink(installed.join(part), runtime.join(part)).expect("a link");
    }
    let agent = installed.join(".installed/bin/agent-browser");
    std::os::unix::fs::symlink(agent, runtime.join(".installed/bin/agent-browser"))
        .expect("a link");
    let node = runtime.join(".installed/bin/node");
    fs::write(
        &node,
        "#!/bin/sh\necho 'libatomic.so.1: cannot open shared object file' >&2\nexit 127\n",
    )
    .expect("a file");
    fs::set_permissions(&node, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("it belongs to this process");
    let doctor = Doctor::with_data_dir(&dir.path().join("data"));
    let diagnosis = doctor
        .setting("HEARTH_RUNTIME_DIR", &runtime.to_string_lossy())
        .run()
        .await;
    let finding = diagnosis.finding("node");
    assert_eq!(
        (diagnosis.code, finding.severity.as_str()),
        (Some(78), "FAIL"),
        "{}",
        diagnosis.stdout
    );
    assert!(finding.text.contains("libatomic.so.1"), "{finding:?}");
    assert_fixed_by(&finding, "apt-get install -y libatomic1");
    assert_eq!(diagnosis.finding("bash").severity, "ok");
}

#[tokio::test]
async fn a_low_open_file_limit_fails_if_max_sessions_needs_more() {
    let dir = new_data_dir();
    let doctor = Doctor::with_data_dir(dir.path()).open_files(1024, 2048);
    let diagnosis = doctor.setting("HEARTH_MAX_SESSIONS", "100").run().await;
    let finding = diagnosis.finding("open files");
    assert_eq!(
        (diagnosis.code, finding.severity.as_str()),
        (Some(78), "FAIL"),
        "{}",
        diagnosis.stdout
    );
    assert_fixed_by(&finding, "--nofile=1024:8192");
}

#[tokio::test]
async fn more_sessions_than_the_memory_allows_are_a_note() {
    let dir = new_data_dir();
    let diagnosis = Doctor::with_data_dir(dir.path())
        .setting("HEARTH_MAX_SESSIONS", "10000")
        .run()
        .await;
    let finding = diagnosis.finding("memory");
    assert_eq!(finding.severity, "note", "{}", diagnosis.stdout);
    assert_fixed_by(&finding, "HEARTH_MAX_SESSIONS=");
}

#[tokio::test]
async fn an_address_in_use_fails_and_names_a_free_one() {
    let dir = new_data_dir();
    let other = TcpListener::bind("127.0.0.1:0").expect("loopback is available");
    let taken = other.local_addr().expect("it is bound").to_string();
    let diagnosis = Doctor::with_data_dir(dir.path())
        .setting("HEARTH_LISTEN", &taken)
        .run()
        .await;
    let finding = diagnosis.finding("address");
    assert_eq!(
        (diagnosis.code, finding.severity.as_str()),
        (Some(78), "FAIL"),
        "{}",
        diagnosis.stdout
    );
    assert_fixed_by(&finding, "HEARTH_LISTEN=127.0.0.1:");
}

#[tokio::test]
async fn it_leaves_the_disk_unchanged() {
    let dir = new_data_dir();
    let diagnosis = Doctor::with_data_dir(&dir.path().join("deep/data"))
        .run()
        .await;
    assert_eq!(diagnosis.code, Some(0), "{}", diagnosis.stdout);
    assert!(is_empty(dir.path()), "{:?}", fs::read_dir(dir.path()));
}

#[tokio::test]
async fn it_leaves_the_disk_unchanged_when_interrupted() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let dir = new_data_dir();
        let data = dir.path().join("data");
        let diagnosis = Doctor::with_data_dir(&data).interrupted_by(signal).await;
        assert_eq!(diagnosis.code, Some(code), "{}", diagnosis.stdout);
        assert!(is_empty(dir.path()), "{:?}", fs::read_dir(dir.path()));
    }
}

#[tokio::test]
async fn the_next_run_removes_what_a_killed_one_left() {
    let dir = new_data_dir();
    let data = dir.path().join("data");
    let killed = Doctor::with_data_dir(&data)
        .interrupted_by(Signal::SIGKILL)
        .await;
    assert!(killed.code.is_none() && data.exists(), "{killed:?}");
    Doctor::with_data_dir(&data).run().await;
    assert!(is_empty(&data), "{:?}", fs::read_dir(&data));
}

#[tokio::test]
async fn it_passes_next_to_a_running_server_and_its_sessions_survive() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.node("const kept = 41").await.ok();
    let dirs = server.session_dirs();
    let doctor =
        Doctor::with_data_dir(server.data_dir()).setting("HEARTH_LISTEN", server.address());
    let diagnosis = doctor.run().await;
    assert_eq!(diagnosis.code, Some(0), "{}", diagnosis.stdout);
    let data_dir = diagnosis.finding("data directory");
    assert!(
        data_dir.severity == "note" && data_dir.text.contains("a server runs here"),
        "{data_dir:?}"
    );
    assert_eq!(diagnosis.finding("address").severity, "ok");
    assert_eq!(session.node("kept + 1").await.ok().result, "42");
    assert_eq!(server.session_dirs(), dirs);
    server.stop().await;
}

#[tokio::test]
async fn json_has_the_same_content() {
    let dir = new_data_dir();
    let doctor = Doctor::with_data_dir(dir.path())
        .setting("HEARTH_VIEWPORT", "wide")
        .argument("--json");
    let diagnosis = doctor.run().await;
    assert_eq!(diagnosis.code, Some(78), "{}", diagnosis.stdout);
    let report: Value = serde_json::from_str(&diagnosis.stdout).expect("one object");
    assert_eq!(report["ok"], false);
    let findings = report["findings"].as_array().expect("a list");
    let checks: Vec<&str> = findings
        .iter()
        .filter_map(|finding| finding["check"].as_str())
        .collect();
    assert_eq!(checks, CHECKS);
    assert_eq!(
        (
            &findings[1]["severity"],
            findings[1]["fixes"].as_array().map(Vec::len)
        ),
        (&"fail".into(), Some(1))
    );
}
