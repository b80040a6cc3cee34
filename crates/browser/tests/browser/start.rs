//! Tests browsers that die at start.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use hearth_browser::{DeathReason, LaunchError};
use hearth_sandbox::Exit;
use tempfile::TempDir;

use crate::support::{BrowserFixture, SHELL};

/// An executable that counts its starts and then runs a script, which starts the browser.
struct Wrapper {
    dir: TempDir,
}

impl Wrapper {
    /// Creates a wrapper. In `script`, `$dir` is a directory of the wrapper, and `$starts` the
    /// number of this start.
    fn new(script: &str) -> Wrapper {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let wrapper = Wrapper { dir };
        let text = format!(
            "#!/bin/sh\ndir='{}'\necho start >>\"$dir/starts\"\nstarts=$(wc -l <\"$dir/starts\")\n{script}\n",
            wrapper.dir.path().display()
        );
        let path = wrapper.executable();
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("the test owns it");
        wrapper
    }

    /// Returns the path. Hearth chooses the flags by its file name.
    fn executable(&self) -> PathBuf {
        self.dir.path().join("chromium-headless-shell")
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn starts(&self) -> usize {
        let starts = fs::read_to_string(self.path().join("starts")).unwrap_or_default();
        starts.lines().count()
    }
}

/// Compiles `tests/faults/slow_getenv.c`.
fn build_slow_getenv(library: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/faults/slow_getenv.c");
    let built = Command::new("cc")
        .args(["-O1", "-shared", "-fPIC", "-o"])
        .args([library, &source])
        .status();
    assert!(
        built
            .expect("a C compiler, which Rust links with")
            .success()
    );
}

/// Launches a browser whose lookups of `DBUS_*` are slow, with `variables` in its environment.
async fn launch_with_slow_lookups(variables: &str) {
    const STARTS: usize = 6;
    let wrapper = Wrapper::new(&format!(
        "exec env -u PWD LD_PRELOAD=\"$dir/slow_getenv.so\" {variables} {SHELL} \"$@\""
    ));
    build_slow_getenv(&wrapper.path().join("slow_getenv.so"));
    for _ in 0..STARTS {
        let fixture = BrowserFixture::new();
        let executable = wrapper.executable();
        let browser = fixture.launch(executable.to_str().expect("UTF-8")).await;
        browser.expect("launched").close().await;
        fixture.assert_no_processes().await;
    }
    assert_eq!(wrapper.starts(), STARTS, "a browser died at start");
}

#[tokio::test]
async fn slow_getenv_does_not_crash_the_browser() {
    // Chromium's allocator moves the array of variables only when it grows from an even number, so
    // both cases are tried. Without the two variables of Hearth, two of three starts die in one.
    tokio::join!(
        launch_with_slow_lookups(""),
        launch_with_slow_lookups("PADDING=1")
    );
}

#[tokio::test]
async fn browser_that_dies_at_start_is_started_again() {
    // The first browser dies while Chromium starts, and leaves a file and a process. Its messages
    // are lost, so it never counts as ready.
    let wrapper = Wrapper::new(&format!(
        "[ $starts = 1 ] || exec {SHELL} \"$@\"
         {SHELL} \"$@\" 4>/dev/null & sleep 0.2; sleep 1000 & touch \"$TMPDIR/left\"; kill -SEGV $$"
    ));
    let fixture = BrowserFixture::new();
    let executable = wrapper.executable();
    let browser = fixture
        .launch(executable.to_str().expect("UTF-8"))
        .await
        .expect("launched");
    assert!(browser.current_tab().is_some());
    assert_eq!(wrapper.starts(), 2);
    assert!(!fixture.dir().join("tmp/left").exists());
    assert_eq!(
        fixture.launcher.trees().len(),
        1,
        "the first browser still runs"
    );
    browser.close().await;
    fixture.assert_no_processes().await;
}

#[tokio::test]
async fn browser_that_dies_at_every_start_is_an_error() {
    let wrapper = Wrapper::new("echo 'no luck' >&2\nkill -SEGV $$");
    let fixture = BrowserFixture::new();
    let executable = wrapper.executable();
    let error = fixture.launch(executable.to_str().expect("UTF-8")).await;
    let Err(LaunchError::Died { reason, stderr }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(reason, DeathReason::Exited(Exit::Signal(11)));
    assert!(stderr.contains("no luck"), "{stderr}");
    fixture.assert_no_processes().await;
    assert_eq!(wrapper.starts(), 2);
}
