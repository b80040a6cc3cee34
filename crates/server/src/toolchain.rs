//! What user code runs on: where the interpreters, the kernels and agent-browser are, checked once.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// A part of the toolchain that is missing.
#[derive(Debug, Error)]
#[error("cannot run code: {} is missing\n  fix: run `make setup` in the repository", .0.display())]
pub(crate) struct MissingPart(PathBuf);

/// The parts of the runtime folder.
#[derive(Clone, Debug)]
pub(crate) struct Runtime {
    /// All of it is below this.
    pub folder: PathBuf,
    /// The wheel's Node.
    pub node: PathBuf,
    pub node_kernel: PathBuf,
    /// What every node of a session runs first.
    pub node_proxy: PathBuf,
    /// playwright-core of the same wheel.
    pub playwright_core: PathBuf,
    /// The parser that the node kernel rewrites `import` with.
    pub acorn: PathBuf,
    /// The virtual environment's.
    pub python: PathBuf,
    pub python_kernel: PathBuf,
    /// What tries at the start whether sessions are confined.
    pub isolation_probe: PathBuf,
    /// The pinned binary: what the daemon is.
    pub agent_browser: PathBuf,
    /// What stands in front of the binary on the `PATH` and adds `scrape`.
    pub agent_browser_command: PathBuf,
    /// The converter behind `scrape`.
    pub turndown: PathBuf,
    pub bash: PathBuf,
    /// Folders with programs that bash finds, most important first.
    pub path: Vec<PathBuf>,
}

impl Runtime {
    /// Looks for every part below `folder`.
    pub fn find(folder: &Path) -> Result<Runtime, MissingPart> {
        let runtime = Runtime::at(folder);
        match runtime.missing().first() {
            None => Ok(runtime),
            Some(missing) => Err(MissingPart((*missing).to_owned())),
        }
    }

    /// Where every part is expected below `folder`.
    pub fn at(folder: &Path) -> Runtime {
        let installed = folder.join(".installed");
        Runtime {
            folder: folder.to_owned(),
            node: installed.join("bin/node"),
            node_kernel: folder.join("node/kernel.mjs"),
            node_proxy: folder.join("node/proxy.cjs"),
            playwright_core: installed.join("playwright-core"),
            acorn: installed.join("acorn/dist/acorn.mjs"),
            python: installed.join("venv/bin/python"),
            python_kernel: folder.join("python/kernel.py"),
            isolation_probe: folder.join("probes/isolation.py"),
            agent_browser: installed.join("bin/agent-browser"),
            agent_browser_command: folder.join("agent-browser/bin/agent-browser"),
            turndown: installed.join("turndown/turndown.js"),
            bash: PathBuf::from("/bin/bash"),
            path: vec![
                folder.join("agent-browser/bin"),
                installed.join("bin"),
                installed.join("venv/bin"),
            ],
        }
    }

    /// Where interpreters live that are neither the system's nor in the folder: a virtual
    /// environment's python may be a link to one in somebody's home.
    pub fn interpreters(&self) -> Vec<PathBuf> {
        let elsewhere = |program: &PathBuf| {
            let program = program.canonicalize().ok()?;
            let is_known = program.starts_with("/usr") || program.starts_with(&self.folder);
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

    /// The parts that are not there.
    pub fn missing(&self) -> Vec<&Path> {
        let parts = [
            &self.node,
            &self.node_kernel,
            &self.node_proxy,
            &self.playwright_core,
            &self.acorn,
            &self.python,
            &self.python_kernel,
            &self.isolation_probe,
            &self.agent_browser,
            &self.agent_browser_command,
            &self.turndown,
            &self.bash,
        ];
        parts
            .into_iter()
            .map(PathBuf::as_path)
            .filter(|part| !part.exists())
            .collect()
    }
}
