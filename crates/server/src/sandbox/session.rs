//! Where a session lives: its folder, its user ids, and what starts its programs. It is there
//! before the first process and goes after the last.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hearth_confine::{DiskUsage, Identity, Launcher, Member, PrivateTmp, Snapshot};
use tokio::task::spawn_blocking;
use tokio_util::task::TaskTracker;

use super::commands::SessionCommands;
use super::dirs::SessionDir;
use super::{
    Isolation, Level, Ports, SandboxPaths, UidLease, plan_agent, plan_browser, plan_code,
    plan_shell,
};
use crate::toolchain::Runtime;

/// What all enclosures are made of.
#[derive(Debug)]
pub(crate) struct SandboxSpec<'a> {
    pub isolation: &'a Isolation,
    pub browser: &'a Path,
    pub runtime: &'a Runtime,
    pub ports: Ports,
}

/// The folder of one session and the launchers of its kinds of programs.
#[derive(Debug)]
pub(crate) struct SessionSandbox {
    pub folder: SessionDir,
    /// For the browser.
    pub browser: Launcher,
    /// For kernels.
    pub code: Launcher,
    /// For shells.
    pub shell: Launcher,
    /// For the agent-browser daemon.
    pub agent: Launcher,
    /// Held until nothing of the session is left.
    _slot: Option<UidLease>,
}

impl SessionSandbox {
    /// Makes the folder below `parent` and everything around it. Blocks. Nothing is left when it
    /// fails.
    pub fn create(
        parent: &Path,
        name: &str,
        spec: SandboxSpec<'_>,
        slot: Option<UidLease>,
        tasks: &TaskTracker,
    ) -> io::Result<SessionSandbox> {
        let folder = SessionDir::create(parent, name)?;
        SessionSandbox::around(folder.clone(), spec, slot, tasks).inspect_err(|_| folder.remove())
    }

    fn around(
        folder: SessionDir,
        spec: SandboxSpec<'_>,
        slot: Option<UidLease>,
        tasks: &TaskTracker,
    ) -> io::Result<SessionSandbox> {
        let SandboxSpec {
            isolation,
            browser,
            runtime,
            ports,
        } = spec;
        let needed = [
            folder.root(),
            &runtime.folder,
            browser.parent().unwrap_or(browser),
        ];
        let private_tmp = PrivateTmp::prepare(folder.tmp(), &needed)?;
        let private_tmp = if slot.is_some() {
            private_tmp.for_other_users()
        } else {
            private_tmp
        };
        let launcher = isolation.launcher(tasks).with_private_tmp(private_tmp);
        let slot_number = slot.as_ref().map(UidLease::number);
        if let Some(slot) = slot_number {
            share_out(&launcher, &folder, slot)?;
        }
        let paths = SandboxPaths {
            runtime: runtime.folder.clone(),
            interpreters: isolation.interpreters.clone(),
            browser_program: browser.to_owned(),
            agent_program: runtime.agent_browser.clone(),
            browser: folder.browser(),
            downloads: folder.downloads(),
            work: folder.work(),
            agent: folder.agent(),
            agent_socket: folder.agent().join(SessionCommands::agent_socket()),
        };
        let identity = |member| slot_number.map(|slot| Identity { slot, member });
        let for_code = launcher.under(identity(Member::Code));
        let for_browser = launcher.under(identity(Member::Browser));
        let confined = |launcher: &Launcher, plan: fn(&SandboxPaths, &Ports, _, bool) -> _| {
            isolation.confined(launcher, || {
                plan(&paths, &ports, isolation.limits, slot_number.is_some())
            })
        };
        debug_assert!(isolation.level == Level::Default || slot_number.is_none());
        Ok(SessionSandbox {
            browser: confined(&for_browser, plan_browser),
            code: confined(&for_code, plan_code),
            shell: confined(&for_code, plan_shell).with_reserve(),
            agent: confined(&for_code, plan_agent),
            folder,
            _slot: slot,
        })
    }

    /// What the session's files take, up to a little more than `most`. `snapshot` says which
    /// processes hold some open.
    pub async fn measure(&self, most: DiskUsage, snapshot: &Arc<Snapshot>) -> DiskUsage {
        let folder = &self.folder;
        if self.code.user_ids().is_none() {
            return self
                .code
                .measure(vec![folder.root().to_owned()], most, Arc::clone(snapshot))
                .await;
        }
        // Each of the two sees what is its own.
        let codes = vec![folder.work(), folder.agent(), folder.tmp()];
        let (codes, browsers) = tokio::join!(
            self.code.measure(codes, most, Arc::clone(snapshot)),
            self.browser
                .measure(vec![folder.browser()], most, Arc::clone(snapshot)),
        );
        DiskUsage {
            bytes: codes.bytes + browsers.bytes,
            files: codes.files + browsers.files,
        }
    }

    /// Removes everything. To be called when nothing of the session runs any more.
    pub async fn remove(&self) {
        self.shell.close_reserve().await;
        // What belongs to the session's users is removed by them, and what they cannot remove shows
        // below.
        if self.code.user_ids().is_some() {
            let folder = &self.folder;
            let _ = self
                .code
                .empty(vec![
                    folder.work(),
                    folder.agent(),
                    folder.tmp(),
                    folder.downloads(),
                ])
                .await;
            let _ = self
                .browser
                .empty(vec![folder.browser(), folder.work(), folder.tmp()])
                .await;
        }
        let folder = self.folder.clone();
        // The only way to fail is a panic, which has been told by then.
        let _ = spawn_blocking(move || folder.remove()).await;
    }
}

/// Gives the parts of a session's folder to its users. What is in the folder as a whole stays the
/// server's, so that no part can be replaced.
fn share_out(launcher: &Launcher, folder: &SessionDir, slot: u16) -> io::Result<()> {
    let set =
        |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode));
    set(folder.root(), 0o750)?;
    // Looked through by the server, behind a door that only the session passes.
    set(&folder.browser(), 0o711)?;
    for shared in [
        folder.downloads(),
        folder.work(),
        folder.packages(),
        folder.agent(),
    ] {
        set(&shared, 0o2770)?;
    }
    let give = |member, parts: &[PathBuf]| {
        let parts: Vec<&Path> = parts.iter().map(PathBuf::as_path).collect();
        launcher.give(Identity { slot, member }, &parts)
    };
    // From the inside out: what is given away cannot be reached by us any more.
    give(Member::Browser, &folder.browser_dirs())?;
    give(Member::Browser, &[folder.browser()])?;
    give(Member::Code, &folder.code_dirs())?;
    give(Member::Server, &[folder.root().to_owned()])
}
