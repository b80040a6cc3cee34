//! Scripts that replace the browser and print a chosen version.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use crate::server_builder::new_data_dir;

const CHROMIUM: &str = "/usr/lib/chromium/chromium-headless-shell";

/// A script that takes the place of the browser. It prints a chosen version, and otherwise
/// runs the real browser or fails.
#[derive(Debug)]
pub struct BrowserWrapper {
    dir: TempDir,
}

impl BrowserWrapper {
    /// Creates a browser that reports `version`, such as `156.0.8078.79`.
    pub fn new(version: &str) -> Self {
        Self::create(version, &format!("exec {CHROMIUM} \"$@\""))
    }

    /// Creates a browser that only prints a version, so that every session fails.
    pub fn without_browser() -> Self {
        Self::create("156.0.0.0", "exit 3")
    }

    fn create(version: &str, otherwise: &str) -> Self {
        let wrapper = Self {
            dir: new_data_dir(),
        };
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *--version*) echo 'Chromium {version}'; exit 0;; esac\n{otherwise}\n"
        );
        std::fs::write(wrapper.path(), script).expect("a new dir is writable");
        for path in [wrapper.dir.path(), Path::new(&wrapper.path())] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
                .expect("the test owns it");
        }
        wrapper
    }

    /// Returns the value of `HEARTH_BROWSER`. The server recognizes the headless shell by its name.
    pub fn path(&self) -> String {
        let path = self.dir.path().join("chromium-headless-shell");
        path.to_string_lossy().into_owned()
    }
}
