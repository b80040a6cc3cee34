//! S15: code and clients that lead the server out of the working directory, or make it wait.
//!
//! Code prepares a file, and the client requests it. The secret is readable by every user, so only
//! the worker's refusal to follow links protects it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hearth_test_support::{Api, ServerBuilder, Session, TestServer, netns};
use tempfile::TempDir;

use super::{Raw, get, list, not_read, put, remove};

const SECRET: &str = "HEARTH-CANARY-OUTSIDE";

/// The time in which a request is answered that must not wait for a file.
const AT_ONCE: Duration = Duration::from_secs(10);

/// A directory that belongs to no session, which every user can read and write.
struct Outside(TempDir);

impl Outside {
    fn new() -> Outside {
        let dir = tempfile::Builder::new()
            .prefix("ho-")
            .tempdir_in("/var/tmp")
            .expect("every user may create dirs there");
        let outside = Outside(dir);
        fs::write(outside.secret(), SECRET).expect("written");
        for (path, mode) in [
            (outside.0.path().to_owned(), 0o777),
            (outside.secret(), 0o666),
        ] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("changed");
        }
        outside
    }

    fn secret(&self) -> PathBuf {
        self.0.path().join("secret")
    }

    /// Asserts that nothing was changed, added or removed.
    fn assert_unchanged(&self) {
        let secret = fs::read_to_string(self.secret()).expect("it is still there");
        assert_eq!(secret, SECRET);
        let names = fs::read_dir(self.0.path()).expect("readable");
        assert_eq!(names.count(), 1, "files were added");
    }
}

/// Returns a server for each way in which the worker runs: as another user, as the server's own,
/// and without isolation. The flag is true with isolation.
fn servers() -> Vec<(ServerBuilder, bool)> {
    let open = TestServer::builder().setting("HEARTH_ISOLATION", "none");
    let mut servers = vec![(TestServer::builder(), true), (open, false)];
    if netns::is_possible() {
        servers.push((TestServer::builder().as_plain_user(), true));
    }
    servers
}

/// Asserts that a file cannot be read, and that the response says nothing about the secret.
async fn assert_not_read(api: &Api, session: &Session, file: &str) {
    let start = Instant::now();
    let read = not_read(api, session, file).await;
    assert!([404, 409].contains(&read.status), "{file}: {}", read.text);
    assert!(!read.text.contains(SECRET), "{file}: {}", read.text);
    assert!(start.elapsed() < AT_ONCE, "{file}: {:?}", start.elapsed());
}

#[tokio::test]
async fn paths_lead_nowhere_above_the_working_directory() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.bash("mkdir a; echo x > a/b").await.ok();
    for path in [
        "..",
        "../",
        "../b",
        "a/../../b/user-data/Local%20State",
        "%2e%2e/work/a/b",
        "%2E%2E%2Fwork%2fa%2fb",
        "..%2fwork/a/b",
        "a/%2e%2e/a/b",
        ".",
        "./a/b",
        "a/./b",
        "a//b",
        "a/b/",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "a%00b",
        "%00",
        "%ff",
        "a%2f%ff",
        &"d/".repeat(2000),
        &"n".repeat(300),
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let headers = "Connection: close\r\nContent-Length: 0\r\n";
            let raw = Raw::send(&server, method, &session, path, headers).await;
            let answer = raw.answer().await;
            assert!(
                answer.starts_with("HTTP/1.1 400 ") && answer.contains("Bad Request: "),
                "{method} {path}: {answer}"
            );
        }
    }
    assert_eq!(get(&server, &session, "a/b").await.text, "x\n");
    server.stop().await;
}

#[tokio::test]
async fn links_lead_nowhere() {
    for (builder, is_isolated) in servers() {
        let outside = Outside::new();
        let server = builder.start().await;
        let session = server.session().await;
        let (dir, secret) = (outside.0.path().display(), outside.secret());
        let secret = secret.display();
        let code = format!(
            "ln -s {secret} file; ln -s {dir} dir; ln -s ../b browser; ln -s /proc/self proc
             ln -s / root; ln -s loop loop; mkdir real; ln -s ../real/../file real/up; ln -s file again
             ln {secret} hard 2>/dev/null; true"
        );
        session.bash(&code).await.ok();
        for path in [
            "file",
            "again",
            "loop",
            "loop/x",
            "real/up",
            "dir",
            "dir/secret",
            "browser/user-data/Local%20State",
            "proc/environ",
            "root/etc/passwd",
        ] {
            assert_not_read(&server, &session, path).await;
        }
        if is_isolated {
            // The sandbox lets code link no file of others.
            assert_not_read(&server, &session, "hard").await;
        }
        for dir in ["dir", "browser", "proc", "root"] {
            let listed = list(&server, &session, &format!("?path={dir}")).await;
            assert_eq!(listed.status, 404, "{dir}: {}", listed.text);
            let written = put(&server, &session, &format!("{dir}/new"), "x").await;
            assert_eq!(written.status, 404, "{dir}: {}", written.text);
            let removed = remove(&server, &session, &format!("{dir}/secret")).await;
            assert_eq!(removed.status, 404, "{dir}: {}", removed.text);
        }
        // A link is replaced and removed itself.
        put(&server, &session, "file", "own").await.ok();
        assert_eq!(get(&server, &session, "file").await.text, "own");
        remove(&server, &session, "dir").await.ok();
        outside.assert_unchanged();
        server.stop().await;
    }
}

#[tokio::test]
async fn files_that_are_not_regular_are_rejected_at_once() {
    for (builder, _) in servers() {
        let server = builder.start().await;
        let session = server.session().await;
        let code = "mkfifo pipe; mkdir dir; mknod null c 1 3 2>/dev/null; true";
        session.bash(code).await.ok();
        for path in ["pipe", "dir", "null"] {
            assert_not_read(&server, &session, path).await;
        }
        // A lease would delay a reader that waits.
        let lease = "import fcntl, signal\nsignal.signal(signal.SIGIO, signal.SIG_IGN)\nleased = open('leased', 'w+')\n\
                     try: fcntl.fcntl(leased, fcntl.F_SETLEASE, fcntl.F_WRLCK)\nexcept OSError: pass";
        session.python(lease).await.ok();
        let start = Instant::now();
        let read = get(&server, &session, "leased").await;
        assert!([200, 409].contains(&read.status), "{}", read.text);
        assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
        put(&server, &session, "pipe", "own").await.ok();
        assert_eq!(get(&server, &session, "pipe").await.text, "own");
        server.stop().await;
    }
}

#[tokio::test]
async fn files_that_code_swaps_with_links_never_lead_outside() {
    for (builder, _) in servers() {
        let outside = Outside::new();
        let server = builder.start().await;
        let session = server.session().await;
        // Each file is replaced as a whole, because a response breaks off if its file gets shorter.
        let code = format!(
            "import os, threading, time
def swap(until=time.monotonic() + 20):
    while time.monotonic() < until:
        for step in (lambda: open('new', 'w').write('inside'), lambda: os.rename('new', 'file'),
                     lambda: os.symlink('{secret}', 'link'), lambda: os.rename('link', 'file'),
                     lambda: os.mkdir('real'), lambda: open('real/part', 'w').write('inside'),
                     lambda: os.rename('real/part', 'real/secret'), lambda: os.rename('real', 'dir'), lambda: os.rename('dir', 'real'),
                     lambda: os.symlink('{dir}', 'dir'), lambda: os.remove('dir')):
            try: step()
            except OSError: pass
threading.Thread(target=swap, daemon=True).start()",
            secret = outside.secret().display(),
            dir = outside.0.path().display(),
        );
        session.python(&code).await.ok();
        let mut read = 0;
        // On a busy machine, the worker can need too long (503).
        for number in 0..150 {
            let name = ["file", "dir/secret"][number % 2];
            let answer = get(&server, &session, name).await;
            assert!(!answer.text.contains(SECRET), "{}", answer.text);
            read += usize::from(answer.status == 200);
            let written = put(&server, &session, "dir/new", "x").await;
            assert!(
                [200, 404, 409, 503].contains(&written.status),
                "{}",
                written.text
            );
            for name in ["dir/secret", "dir/new"] {
                let removed = remove(&server, &session, name).await;
                assert!(
                    [200, 404, 503].contains(&removed.status),
                    "{}",
                    removed.text
                );
            }
        }
        assert!(read > 0, "no file was ever read");
        outside.assert_unchanged();
        server.stop().await;
    }
}

#[tokio::test]
async fn files_of_other_teams_are_out_of_reach() {
    let builder = TestServer::builder().single();
    let server = builder
        .setting("HEARTH_API_KEYS", "one:key-one,two:key-two")
        .start()
        .await;
    let (own, other) = (server.with_key("key-one"), server.with_key("key-two"));
    let session = own.session().await;
    put(&own, &session, "secret", SECRET).await.ok();
    for (api, status, error) in [
        (&other, 403, "Forbidden."),
        (
            &server.with_key("key-three"),
            401,
            "Unauthorized: Invalid token",
        ),
    ] {
        not_read(api, &session, "secret")
            .await
            .assert_error(status, error);
        list(api, &session, "").await.assert_error(status, error);
        put(api, &session, "secret", "x")
            .await
            .assert_error(status, error);
        remove(api, &session, "secret")
            .await
            .assert_error(status, error);
    }
    assert_eq!(get(&own, &session, "secret").await.text, SECRET);
    server.stop().await;
}

#[tokio::test]
async fn a_file_of_a_gigabyte_takes_no_memory_and_can_shrink_while_it_is_sent() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.bash("truncate -s 1G huge").await.ok();
    let mut ranged = Raw::send(&server, "GET", &session, "huge", "Range: bytes=-3\r\n").await;
    let head = ranged.head().await;
    assert!(head.starts_with("HTTP/1.1 206 "), "{head}");
    assert!(
        head.contains("bytes 1073741821-1073741823/1073741824"),
        "{head}"
    );
    drop(ranged);
    let mut reading = Raw::send(&server, "GET", &session, "huge", "").await;
    let head = reading.head().await;
    assert!(head.contains("1073741824"), "{head}");
    session.bash("truncate -s 0 huge").await.ok();
    // The response breaks off, so the client notices.
    assert!(reading.rest().await < 1 << 30);
    server.stop().await;
}
