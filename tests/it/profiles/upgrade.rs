//! Runs the upgrade steps of docs/OPERATIONS.md as they are written.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hearth_test_support::{Api, Site, binary, new_data_dir, repository};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::profiles::scenario::{all, keep, kept, reading, saving};

/// A `systemctl` that starts and stops the server of the link, as the unit would.
const SYSTEMCTL: &str = r#"#!/bin/sh
set -eu
case "$1" in
start)
    setsid "$CURRENT/target/release/hearth" serve >>"$ROOT/log" 2>&1 </dev/null &
    echo $! >"$ROOT/pid"
    ;;
stop)
    pid=$(cat "$ROOT/pid")
    kill -TERM "$pid"
    while grep -qs '^State:.[^Z]' "/proc/$pid/status"; do sleep 0.1; done
    rm "$ROOT/pid"
    ;;
esac
"#;

/// A machine with two versions of the server.
struct Machine {
    root: TempDir,
    data: TempDir,
    address: String,
}

impl Machine {
    fn new() -> Machine {
        let root = tempfile::tempdir().expect("a dir");
        for version in ["old", "new"] {
            let dir = root.path().join(version).join("target/release");
            fs::create_dir_all(&dir).expect("a dir");
            symlink(binary(), dir.join("hearth")).expect("a link");
        }
        symlink(root.path().join("old"), root.path().join("current")).expect("a link");
        let systemctl = root.path().join("systemctl");
        fs::write(&systemctl, SYSTEMCTL).expect("written");
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).expect("ours");
        // An address that no other test uses.
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let address = format!("{}:3010", Ipv4Addr::new(127, 77, high, low));
        let data = new_data_dir();
        Machine {
            root,
            data,
            address,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn api(&self) -> Api {
        Api::new(format!("http://{}", self.address))
    }

    /// Runs a script with the variables that the document asks for.
    fn run(&self, script: &str) -> Output {
        let runtime = std::env::var_os("HEARTH_TEST_RUNTIME")
            .map_or_else(|| repository().join("runtime"), PathBuf::from);
        let output = Command::new("/bin/sh")
            .args(["-eu", "-c", script])
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.root.path().display()),
            )
            .env("ROOT", self.root.path())
            .env("HEARTH_DATA_DIR", self.data.path())
            .env("HEARTH_RUNTIME_DIR", runtime)
            .env("HEARTH_LISTEN", &self.address)
            .env("HEARTH_EGRESS_ALLOW", "127.0.0.1:*,localhost:*")
            .env("CURRENT", self.path("current"))
            .env("NEW", self.path("new"))
            .env("BACKUP", self.path("hearth.tar.zst"))
            .env("URL", format!("http://{}", self.address))
            .output();
        output.expect("a shell is installed")
    }

    /// Runs steps that must succeed.
    fn do_steps(&self, script: &str) {
        let output = self.run(script);
        assert!(output.status.success(), "{output:#?}\n{}", self.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn link(&self) -> PathBuf {
        fs::read_link(self.path("current")).expect("a link")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The processes of its sessions end with the server.
        let pid = fs::read_to_string(self.path("pid")).ok();
        if let Some(pid) = pid.and_then(|pid| pid.trim().parse().ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// Returns the `tested` blocks of the document.
fn steps() -> Vec<String> {
    let page = fs::read_to_string(repository().join("docs/OPERATIONS.md")).expect("the document");
    page.split("```sh tested\n")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("```")?.0.to_owned()))
        .collect()
}

/// Makes the store look as if a newer version had changed its schema.
fn upgrade_schema(data_dir: &Path) {
    let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(\"INSERT INTO _sqlx_migrations SELECT 99, 'newer', installed_on, success, checksum, execution_time FROM _sqlx_migrations LIMIT 1\"); c.commit()";
    let done = Command::new("python3")
        .args(["-c", script])
        .arg(data_dir.join("hearth.db"))
        .status();
    assert!(done.expect("python runs").success());
}

async fn saved(api: &Api, site: &Site) -> serde_json::Value {
    let session = api.session_with(&reading("p")).await;
    let found = kept(&session, site).await;
    session.delete().await;
    found
}

#[tokio::test]
async fn the_upgrade_steps_work_as_they_are_written() {
    let steps = steps();
    let [upgrade, roll_back] = &steps[..] else {
        panic!("an upgrade and a roll-back: {steps:?}");
    };
    let (machine, site) = (Machine::new(), Site::start().await);
    machine.do_steps("systemctl start hearth; curl -sf --retry 60 --retry-connrefused --retry-delay 1 $URL/readyz");
    let api = machine.api();
    let session = api.session_with(&saving("p")).await;
    keep(&session, &site, "old").await;
    session.delete().await;

    machine.do_steps(upgrade);
    assert_eq!(machine.link(), machine.path("new"));
    // Connections to the old server are closed.
    let api = machine.api();
    assert_eq!(saved(&api, &site).await, all("old"));
    let session = api.session_with(&saving("p")).await;
    keep(&session, &site, "new").await;
    session.delete().await;
    upgrade_schema(machine.data.path());

    machine.do_steps(roll_back);
    assert_eq!(machine.link(), machine.path("old"));
    assert_eq!(saved(&machine.api(), &site).await, all("old"));
    machine.do_steps("systemctl stop hearth");
    assert!(
        machine.log().contains("server stopped"),
        "{}",
        machine.log()
    );
}
