//! Private namespaces for a test: network, processes, mounts and System V objects.
//!
//! An attack inside them affects no other process, and loopback may take addresses that belong to
//! other hosts. Requires root.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// Environment variable of a test that runs inside.
const INSIDE: &str = "HEARTH_TEST_INSIDE";

/// A private network address that answers inside, on an interface that is connected to no network.
pub const PRIVATE_ADDRESS: &str = "10.66.0.1";

/// The address of cloud metadata services, which answers inside, on loopback.
pub const METADATA_ADDRESS: &str = "169.254.169.254";

/// Adds private addresses to loopback and hides the test's files in the dirs that all programs
/// share. The shell reaps orphaned processes, as an init process does.
const FURNISH: &str = r#"
set -e
ip link set lo up
ip link add way0 type veth peer name way1
ip address add 10.66.0.1/24 dev way0
ip link set way0 up
ip link set way1 up
ip address add 169.254.169.254/32 dev lo
mount -t tmpfs -o mode=1777 tmpfs /var/tmp
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
"$@"
exit $?
"#;

/// Returns true if this process may create namespaces.
pub fn is_possible() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Returns true inside the namespaces.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs the test `name` of this binary again inside, and fails if it fails. Returns `true` inside,
/// where the test continues, and `false` outside, where it is done.
pub async fn enter(name: &str, deadline: Duration) -> bool {
    if is_inside() {
        return true;
    }
    let test = std::env::current_exe().expect("a running test has a path");
    let mut command = Command::new("/usr/bin/unshare");
    command
        .args([
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount",
            "--mount-proc",
            "--ipc",
            "--uts",
        ])
        .args(["/bin/sh", "-c", FURNISH, "inside"])
        .arg(test)
        .args(["--exact", name, "--nocapture", "--include-ignored"])
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(deadline, command.output()).await;
    let output = ended.unwrap_or_else(|_| panic!("{name} did not end within {deadline:?}"));
    let output = output.expect("util-linux is installed");
    let printed = [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .concat();
    eprintln!("{printed}");
    assert!(
        output.status.success(),
        "{name} failed inside; see the output above"
    );
    assert!(printed.contains("1 passed"), "{name} was not run inside");
    false
}
