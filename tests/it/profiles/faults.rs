//! Faults of file changes, which `tests/faults/faults.c` injects into a program.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use hearth_test_support::{ServerBuilder, TestServer, repository};
use tempfile::TempDir;

/// An upper bound on the file changes of the tested operations.
pub const MAX_CHANGES: i32 = 200;

/// The way a change fails.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Error = 1,
    Death = 2,
    Full = 3,
}

/// Settings that make a server's file changes fail; see `tests/faults/faults.c`.
pub struct Faults {
    dir: TempDir,
    orders: File,
}

impl Faults {
    pub fn new() -> Faults {
        let dir = tempfile::tempdir().expect("a dir");
        let orders = File::options()
            .write(true)
            .read(true)
            .create_new(true)
            .open(dir.path().join("orders"));
        let orders = orders.expect("a file");
        orders.write_all_at(&[0; 12], 0).expect("written");
        let (library, source) = (
            dir.path().join("faults.so"),
            repository().join("tests/faults/faults.c"),
        );
        let built = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(source)
            .arg("-ldl")
            .status();
        assert!(
            built
                .expect("a C compiler is installed, because Rust needs it to link")
                .success()
        );
        Faults { dir, orders }
    }

    /// Builds a server at the isolation level at which the server itself writes profiles. Only
    /// files below `below` count.
    pub fn server(&self, data_dir: &Path, below: &Path) -> ServerBuilder {
        let builder = TestServer::builder()
            .data_dir(data_dir)
            .setting("HEARTH_ISOLATION", "none");
        self.environment(below)
            .into_iter()
            .fold(builder, |builder, (name, value)| {
                builder.setting(name, &value)
            })
    }

    /// Returns the variables of a program whose changes below `below` count.
    pub fn environment(&self, below: &Path) -> [(&'static str, String); 3] {
        [
            ("LD_PRELOAD", self.dir.path().join("faults.so")),
            ("FAULTS_ORDERS", self.dir.path().join("orders")),
            ("FAULTS_BELOW", below.to_owned()),
        ]
        .map(|(name, path)| (name, path.to_str().expect("UTF-8").to_owned()))
    }

    pub fn order(&self, fault: Fault, at: i32) {
        let orders = [fault as i32, at, 0].map(i32::to_ne_bytes).concat();
        // The kind is written last, because changes count from then on.
        self.orders
            .write_all_at(&orders[4..], 4)
            .and_then(|()| self.orders.write_all_at(&orders[..4], 0))
            .expect("written");
    }

    /// Disables the faults, and returns how many changes were counted.
    pub fn stop(&self) -> i32 {
        self.orders.write_all_at(&[0; 4], 0).expect("written");
        let mut seen = [0; 4];
        self.orders.read_exact_at(&mut seen, 8).expect("read");
        i32::from_ne_bytes(seen)
    }
}
