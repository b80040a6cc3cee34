//! The virtual environment of a session, into which `pip install` installs packages. It extends the
//! environment of the toolchain, whose packages it does not copy.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::toolchain::Runtime;

/// The file that makes the packages of the toolchain importable, and imports [`SCRIPTS`]. The
/// interpreter reads it from the directory of packages (`site`, in Python's library).
const LINK: &str = "hearth.pth";

/// The module that shares the session's browser with launches. It is a link in the directory of
/// packages, so that the session caches its bytecode.
const SCRIPTS: &str = "hearth_scripts";

/// The directories of a virtual environment.
#[derive(Debug)]
pub(crate) struct PythonEnv {
    root: PathBuf,
    /// The name of the directory of the interpreter's version, such as `python3.11`.
    version: PathBuf,
}

impl PythonEnv {
    /// Creates the environment in `root`, which must be empty. If the toolchain has none, only
    /// creates directories.
    pub fn create(root: PathBuf, runtime: &Runtime) -> io::Result<PythonEnv> {
        let version = runtime.python_packages.parent().and_then(Path::file_name);
        let env = PythonEnv {
            version: version.unwrap_or_default().into(),
            root,
        };
        for dir in env.dirs().iter().rev() {
            fs::create_dir(dir)?;
        }
        // The file names the interpreter's directory, which is the same for both environments.
        let Ok(config) = fs::read_to_string(runtime.python_env.join("pyvenv.cfg")) else {
            return Ok(env);
        };
        fs::write(env.root.join("pyvenv.cfg"), config)?;
        for name in ["python", "python3"] {
            symlink(&runtime.python, env.root.join("bin").join(name))?;
        }
        let packages = runtime.python_packages.display();
        let lines = format!("{packages}\nimport {SCRIPTS}\n");
        fs::write(env.packages().join(LINK), lines)?;
        let module = env.packages().join(format!("{SCRIPTS}.py"));
        symlink(&runtime.python_scripts, module)?;
        Ok(env)
    }

    /// Returns the directories below the root, each before its parent.
    pub fn dirs(&self) -> Vec<PathBuf> {
        let lib = self.root.join("lib");
        vec![
            self.packages(),
            lib.join(&self.version),
            lib,
            self.root.join("bin"),
        ]
    }

    fn packages(&self) -> PathBuf {
        self.root
            .join("lib")
            .join(&self.version)
            .join("site-packages")
    }
}
