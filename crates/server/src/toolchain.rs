//! Paths of the interpreters, the kernels and agent-browser, checked once at startup.

use std::fs;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A part of the toolchain that is missing.
#[derive(Debug, Error)]
#[error("cannot run code: {} is missing\n  fix: run `make setup` in the repository", .0.display())]
pub(crate) struct MissingPart(PathBuf);

/// The parts of the runtime directory.
#[derive(Clone, Debug)]
pub(crate) struct Runtime {
    /// The parent of all parts.
    pub dir: PathBuf,
    /// The Node executable of the Playwright wheel.
    pub node: PathBuf,
    pub node_kernel: PathBuf,
    /// A script that each Node process of a session loads first.
    pub node_proxy: PathBuf,
    /// A script that each of them loads next. It makes the Node libraries importable.
    pub node_libraries: PathBuf,
    /// A script that each of them loads next. It shares the session's browser with launches.
    pub node_launches: PathBuf,
    /// The wrapper on the `PATH` that keeps npm from installing the Node libraries again.
    pub npm_command: PathBuf,
    /// The directory of the Node libraries.
    pub node_modules: PathBuf,
    /// The playwright-core package of the Playwright wheel.
    pub playwright_core: PathBuf,
    /// The parser that the node kernel rewrites `import` with.
    pub acorn: PathBuf,
    /// The compile cache of Node, which may be missing.
    pub compile_cache: PathBuf,
    /// The Python virtual environment.
    pub python_env: PathBuf,
    /// The directory of its packages.
    pub python_packages: PathBuf,
    /// The Python executable of the virtual environment.
    pub python: PathBuf,
    pub python_kernel: PathBuf,
    /// A script that all other Python processes of a session load first. It shares the session's
    /// browser with launches.
    pub python_scripts: PathBuf,
    /// The script of the sandbox self-test.
    pub isolation_probe: PathBuf,
    /// The script that creates the browser's database of certificate authorities.
    pub certificate_database: PathBuf,
    /// The pinned agent-browser binary, which is also the daemon.
    pub agent_browser: PathBuf,
    /// The wrapper on the `PATH` that adds `scrape` to the binary.
    pub agent_browser_command: PathBuf,
    /// The converter behind `scrape` and scrapes.
    pub turndown: PathBuf,
    /// The script that reads pages for scrapes.
    pub extract: PathBuf,
    pub bash: PathBuf,
    /// The directories on the `PATH` of bash, highest priority first.
    pub path: Vec<PathBuf>,
}

impl Runtime {
    /// Returns the parts below `dir`, or the first one that is missing.
    pub fn find(dir: &Path) -> Result<Runtime, MissingPart> {
        let runtime = Runtime::at(dir);
        match runtime.missing().first() {
            None => Ok(runtime),
            Some(missing) => Err(MissingPart((*missing).to_owned())),
        }
    }

    /// Returns the expected paths below `dir`.
    pub fn at(dir: &Path) -> Runtime {
        let installed = dir.join(".installed");
        let python_env = installed.join("venv");
        Runtime {
            dir: dir.to_owned(),
            node: installed.join("bin/node"),
            node_kernel: dir.join("node/kernel.mjs"),
            node_proxy: dir.join("node/proxy.cjs"),
            node_libraries: dir.join("node/libraries.cjs"),
            node_launches: dir.join("node/launches.cjs"),
            npm_command: dir.join("node/bin/npm"),
            node_modules: installed.join("node_modules"),
            playwright_core: installed.join("playwright-core"),
            acorn: installed.join("acorn/dist/acorn.mjs"),
            compile_cache: installed.join("compile-cache"),
            python_packages: find_packages(&python_env),
            python: python_env.join("bin/python"),
            python_env,
            python_kernel: dir.join("python/kernel.py"),
            python_scripts: dir.join("python/scripts.py"),
            isolation_probe: dir.join("probes/isolation.py"),
            certificate_database: dir.join("certificates/database.py"),
            agent_browser: installed.join("bin/agent-browser"),
            agent_browser_command: dir.join("agent-browser/bin/agent-browser"),
            turndown: installed.join("turndown/turndown.js"),
            extract: dir.join("scrape/extract.js"),
            bash: PathBuf::from("/bin/bash"),
            path: vec![
                dir.join("agent-browser/bin"),
                dir.join("python/bin"),
                dir.join("node/bin"),
                installed.join("bin"),
                installed.join("venv/bin"),
            ],
        }
    }

    /// Returns the directories of interpreters that are neither in `/usr` nor in the runtime
    /// directory. For example, the python of a virtual environment may link to a python in a user's
    /// home.
    pub fn interpreters(&self) -> Vec<PathBuf> {
        let elsewhere = |program: &PathBuf| {
            let program = program.canonicalize().ok()?;
            let is_known = program.starts_with("/usr") || program.starts_with(&self.dir);
            if is_known {
                None
            } else {
                Some(program.parent()?.parent()?.to_owned())
            }
        };
        [&self.python, &self.node]
            .into_iter()
            .filter_map(elsewhere)
            .collect()
    }

    /// Returns the missing parts.
    pub fn missing(&self) -> Vec<&Path> {
        let parts = [
            &self.node,
            &self.node_kernel,
            &self.node_proxy,
            &self.node_libraries,
            &self.node_launches,
            &self.npm_command,
            &self.playwright_core,
            &self.acorn,
            &self.python,
            &self.python_kernel,
            &self.python_scripts,
            &self.isolation_probe,
            &self.certificate_database,
            &self.agent_browser,
            &self.agent_browser_command,
            &self.turndown,
            &self.extract,
            &self.bash,
        ];
        parts
            .into_iter()
            .map(PathBuf::as_path)
            .filter(|part| !part.exists())
            .collect()
    }
}

/// Returns the directory of the packages of a virtual environment. Its path contains the version of
/// Python.
fn find_packages(env: &Path) -> PathBuf {
    let lib = env.join("lib");
    let versions = fs::read_dir(&lib).into_iter().flatten().flatten();
    let found = versions
        .map(|version| version.path().join("site-packages"))
        .find(|packages| packages.is_dir());
    found.unwrap_or_else(|| lib.join("python3/site-packages"))
}
