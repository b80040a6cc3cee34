//! The data directory, the runtime directory and the browser's executable.

#![expect(clippy::disallowed_methods, reason = "settings are read here")]

use std::path::{Path, PathBuf};
use std::{env, fs};

use super::error::ConfigError;

/// The maximum length of the data directory's path in bytes. A socket path has 108 (`unix(7)`), and
/// Chromium needs 62 of them below the directory.
const MAX_DATA_DIR_BYTES: usize = 45;

/// Debian's paths of the two browsers. The programs in `/usr/bin` are scripts that add flags and a
/// process.
const SHELL_PATH: &str = "/usr/lib/chromium/chromium-headless-shell";
const CHROMIUM_PATH: &str = "/usr/lib/chromium/chromium";

/// The data directory of root, because the users of the server and its sessions cannot traverse
/// root's home.
const SYSTEM_DATA_DIR: &str = "/var/lib/hearth";

/// Returns the data directory that the server uses if none is set.
pub(super) fn default_data_dir() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from(SYSTEM_DATA_DIR);
    }
    let dir = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    dir("XDG_DATA_HOME")
        .or_else(|| dir("HOME").map(|home| home.join(".local/share")))
        .map_or_else(
            || PathBuf::from(SYSTEM_DATA_DIR),
            |data| data.join("hearth"),
        )
}

pub(super) fn parse_data_dir(text: &str) -> Result<PathBuf, String> {
    let path = std::path::absolute(text.trim()).map_err(|error| error.to_string())?;
    let length = path.as_os_str().len();
    if length > MAX_DATA_DIR_BYTES {
        return Err(format!(
            "{} has {length} bytes, and Chromium's sockets below it leave room for {MAX_DATA_DIR_BYTES}",
            path.display()
        ));
    }
    Ok(path)
}

/// Returns the directory with the kernels: the configured one, or `runtime` in or above the working
/// directory or above the executable.
pub(super) fn find_runtime_dir(set: Option<&Path>) -> Result<PathBuf, ConfigError> {
    let bad = |reason: String| {
        ConfigError::new("HEARTH_RUNTIME_DIR", reason).fixed_by(
            "set HEARTH_RUNTIME_DIR to the runtime directory of a checkout in which `make setup` ran",
        )
    };
    let is_runtime = |path: &Path| path.join("node/kernel.mjs").is_file();
    if let Some(path) = set {
        let path = std::path::absolute(path).map_err(|error| bad(error.to_string()))?;
        return if is_runtime(&path) {
            Ok(path)
        } else {
            Err(bad(format!("{} has no node/kernel.mjs", path.display())))
        };
    }
    let working = env::current_dir().ok();
    let executable = env::current_exe().and_then(fs::canonicalize).ok();
    let starts = working.iter().chain(executable.iter());
    let found = starts
        .flat_map(|start| start.ancestors())
        .map(|dir| dir.join("runtime"))
        .find(|path| is_runtime(path));
    found.ok_or_else(|| {
        bad(
            "cannot find the runtime directory above the working directory or above the executable"
                .to_owned(),
        )
    })
}

/// A browser to start.
#[derive(Clone, Debug)]
pub(crate) struct BrowserProgram {
    pub path: PathBuf,
    /// The Debian package of the browser, if it was chosen by name.
    pub package: Option<&'static str>,
}

impl BrowserProgram {
    /// Returns the path of the executable, or an error if the file does not exist.
    pub fn find(&self) -> Result<&Path, ConfigError> {
        let path = self.path.display();
        match (self.path.is_file(), self.package) {
            (true, _) => Ok(&self.path),
            (false, Some(package)) => {
                Err(
                    ConfigError::new("HEARTH_BROWSER", format!("{path} is missing")).fixed_by(
                        format!("run `make setup`, or `apt-get install {package}` as root"),
                    ),
                )
            }
            (false, None) => Err(ConfigError::new(
                "HEARTH_BROWSER",
                format!("there is no file {path}"),
            )
            .fixed_by(
                "set HEARTH_BROWSER to shell, chromium, or the path of a Chromium executable",
            )),
        }
    }
}

pub(super) fn parse_browser(text: &str) -> Result<BrowserProgram, String> {
    let (path, package) = match text.trim() {
        "shell" => (PathBuf::from(SHELL_PATH), Some("chromium-headless-shell")),
        "chromium" => (PathBuf::from(CHROMIUM_PATH), Some("chromium")),
        path if path.contains('/') => {
            let path = std::path::absolute(path).map_err(|error| error.to_string())?;
            (path, None)
        }
        other => {
            return Err(format!(
                "{other:?} is neither shell nor chromium nor the path of a browser"
            ));
        }
    };
    Ok(BrowserProgram { path, package })
}
