//! What each kind of program may do. Pure: nothing is looked up but the names of folders.

use std::path::{Path, PathBuf};

use hearth_confine::{Access, Confinement, Door, Grant, Syscalls, UnixSockets};

use crate::config::Limits;

/// The system's programs and libraries.
const SYSTEM: [&str; 7] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
];

/// Of the system's settings, those that programs look up and that say nothing about anybody.
const SETTINGS: [&str; 34] = [
    "/etc/alternatives",
    "/etc/bash.bashrc",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/chromium",
    "/etc/debian_version",
    "/etc/fonts",
    "/etc/gai.conf",
    "/etc/gitconfig",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/inputrc",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/lsb-release",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/profile",
    "/etc/protocols",
    "/etc/python3",
    "/etc/python3.11",
    "/etc/python3.12",
    "/etc/python3.13",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
    "/etc/terminfo",
    "/etc/timezone",
    "/etc/wgetrc",
];

const DEVICES: [&str; 5] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// How many threads a browser may have: some hundred with many tabs.
const BROWSER_PROCESSES: u64 = 4096;

/// How many times as many files as code a browser may have open.
const BROWSERS_FILES: u64 = 4;

/// Code steps back for browsers and the server when the processor is busy.
const CODE_NICENESS: i32 = 5;

/// Where a session's programs live. All of it exists.
#[derive(Clone, Debug)]
pub(crate) struct SandboxPaths {
    /// The folder of the runtime.
    pub runtime: PathBuf,
    /// Further folders with interpreters.
    pub interpreters: Vec<PathBuf>,
    /// The browser's executable.
    pub browser_program: PathBuf,
    /// The agent-browser daemon's executable.
    pub agent_program: PathBuf,
    /// The browser's folder.
    pub browser: PathBuf,
    /// Where downloads go that nobody sends elsewhere.
    pub downloads: PathBuf,
    /// Where code works.
    pub work: PathBuf,
    /// The folder of the agent-browser daemon.
    pub agent: PathBuf,
    /// The daemon's socket.
    pub agent_socket: PathBuf,
}

/// The ports on loopback that programs may connect to.
#[derive(Clone, Debug)]
pub(crate) struct Ports {
    /// Of the browser's protocol, for the session's own programs.
    pub cdp: u16,
    /// The way out.
    pub egress: Vec<u16>,
}

/// Code of strangers: kernels, and shells without the door.
pub(crate) fn plan_code(
    paths: &SandboxPaths,
    ports: &Ports,
    limits: Limits,
    has_own_uid: bool,
) -> Confinement {
    let mut files = common();
    files.extend(
        paths
            .interpreters
            .iter()
            .map(|folder| grant(folder, Access::Execute)),
    );
    files.push(grant(&paths.runtime, Access::Execute));
    files.push(grant("/proc", Access::Read));
    files.extend(
        [&paths.work, &paths.agent, &paths.downloads].map(|folder| grant(folder, Access::Own)),
    );
    Confinement {
        files,
        connect_ports: ports.egress.iter().copied().chain([ports.cdp]).collect(),
        syscalls: Syscalls::Code,
        unix_sockets: UnixSockets::Refused,
        limits: hearth_confine::Limits {
            open_files: Some(limits.open_files),
            file_bytes: Some(limits.disk_mb << 20),
            // Node ends at its start when it may not reserve more than a small session has. Memory
            // is watched.
            data_bytes: None,
            // Counted over everything of a user id, so only where the session has one of its own.
            // It is there for what is quicker than the watch, which says what it does.
            processes: has_own_uid.then_some(8 * limits.processes + 1024),
            niceness: CODE_NICENESS,
        },
    }
}

/// A shell: code that also reaches the agent-browser daemon.
pub(crate) fn plan_shell(
    paths: &SandboxPaths,
    ports: &Ports,
    limits: Limits,
    has_own_uid: bool,
) -> Confinement {
    let door = Door {
        program: paths.agent_program.clone(),
        socket: paths.agent_socket.clone(),
    };
    Confinement {
        unix_sockets: UnixSockets::Door(door),
        ..plan_code(paths, ports, limits, has_own_uid)
    }
}

/// The agent-browser daemon. It listens on a Unix socket and is told what to do by code, so it may
/// execute nothing else.
pub(crate) fn plan_agent(
    paths: &SandboxPaths,
    ports: &Ports,
    limits: Limits,
    has_own_uid: bool,
) -> Confinement {
    let mut confinement = plan_code(paths, ports, limits, has_own_uid);
    for grant in &mut confinement.files {
        if grant.access == Access::Execute {
            grant.access = Access::Read;
        }
    }
    confinement
        .files
        .push(grant(&paths.agent_program, Access::Execute));
    Confinement {
        unix_sockets: UnixSockets::Allowed,
        ..confinement
    }
}

/// The browser. It reaches the way out and nothing else; its commands come through a pipe.
pub(crate) fn plan_browser(
    paths: &SandboxPaths,
    ports: &Ports,
    limits: Limits,
    has_own_uid: bool,
) -> Confinement {
    // Full Chromium tells a second one of its profile by such a socket, and does not start without.
    let name = paths
        .browser_program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let is_shell = name.contains("headless");
    let mut files = common();
    files.extend(
        paths
            .browser_program
            .parent()
            .map(|folder| grant(folder, Access::Execute)),
    );
    // Its own sandbox is set up by writing to files there.
    files.push(Grant {
        path: "/proc".into(),
        access: Access::Use,
    });
    files.push(grant("/proc", Access::Read));
    files.extend([&paths.browser, &paths.work].map(|folder| grant(folder, Access::Own)));
    Confinement {
        files,
        connect_ports: ports.egress.clone(),
        syscalls: Syscalls::Browser,
        unix_sockets: if is_shell {
            UnixSockets::Refused
        } else {
            UnixSockets::Allowed
        },
        limits: hearth_confine::Limits {
            // More than code: how many descriptors of one user may be on their way between
            // processes is held against the limit of whoever sends one more, and a browser ends
            // when it cannot.
            open_files: Some(limits.open_files.saturating_mul(BROWSERS_FILES)),
            // A full disk is survived, a file that is too long is not (SIGXFSZ ends the browser).
            file_bytes: None,
            data_bytes: None,
            processes: has_own_uid.then_some(BROWSER_PROCESSES),
            niceness: 0,
        },
    }
}

fn common() -> Vec<Grant> {
    let mut files: Vec<Grant> = SYSTEM
        .iter()
        .map(|path| grant(path, Access::Execute))
        .collect();
    files.extend(SETTINGS.iter().map(|path| grant(path, Access::Read)));
    files.extend(DEVICES.iter().map(|path| grant(path, Access::Use)));
    files.push(grant("/sys/devices/system/cpu", Access::Read));
    files
}

fn grant(path: impl AsRef<Path>, access: Access) -> Grant {
    Grant {
        path: path.as_ref().to_owned(),
        access,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        processes: 100,
        ..crate::config::NO_LIMITS
    };

    fn paths() -> SandboxPaths {
        let path = |text: &str| PathBuf::from(text);
        SandboxPaths {
            runtime: path("/opt/runtime"),
            interpreters: vec![path("/opt/python")],
            browser_program: path("/usr/lib/chromium/chromium-headless-shell"),
            agent_program: path("/opt/runtime/agent-browser"),
            browser: path("/data/s/1/b"),
            downloads: path("/data/s/1/b/downloads"),
            work: path("/data/s/1/work"),
            agent: path("/data/s/1/a"),
            agent_socket: path("/data/s/1/a/s.sock"),
        }
    }

    fn ports() -> Ports {
        Ports {
            cdp: 1000,
            egress: vec![2000],
        }
    }

    fn access(confinement: &Confinement, path: &str) -> Vec<Access> {
        confinement
            .files
            .iter()
            .filter(|grant| grant.path == Path::new(path))
            .map(|grant| grant.access)
            .collect()
    }

    #[test]
    fn nobody_may_see_a_whole_folder_of_the_machine() {
        let (paths, ports) = (paths(), ports());
        for plan in [plan_code, plan_shell, plan_agent, plan_browser] {
            let confinement = plan(&paths, &ports, LIMITS, true);
            for path in [
                "/",
                "/etc",
                "/run",
                "/var",
                "/home",
                "/root",
                "/dev",
                "/sys",
                "/data",
                "/data/s",
                "/data/s/1",
            ] {
                assert_eq!(access(&confinement, path), [], "{path}");
            }
        }
    }

    #[test]
    fn code_does_not_reach_the_browsers_profile_and_the_browser_reaches_no_port_but_the_way_out() {
        let code = plan_code(&paths(), &ports(), LIMITS, true);
        assert_eq!(access(&code, "/data/s/1/b"), []);
        assert_eq!(code.connect_ports, [2000, 1000]);
        assert_eq!(
            plan_browser(&paths(), &ports(), LIMITS, true).connect_ports,
            [2000]
        );
    }

    #[test]
    fn only_what_is_no_code_makes_unix_sockets() {
        let shell = plan_shell(&paths(), &ports(), LIMITS, true);
        assert!(matches!(shell.unix_sockets, UnixSockets::Door(_)));
        assert_eq!(
            plan_code(&paths(), &ports(), LIMITS, true).unix_sockets,
            UnixSockets::Refused
        );
        let agent = plan_agent(&paths(), &ports(), LIMITS, true);
        let executable: Vec<_> = agent
            .files
            .iter()
            .filter(|grant| grant.access == Access::Execute)
            .collect();
        assert_eq!(
            executable,
            [&grant("/opt/runtime/agent-browser", Access::Execute)]
        );
    }

    #[test]
    fn processes_are_counted_only_where_the_user_id_is_the_sessions_own() {
        assert_eq!(
            plan_code(&paths(), &ports(), LIMITS, true).limits.processes,
            Some(1824)
        );
        assert_eq!(
            plan_code(&paths(), &ports(), LIMITS, false)
                .limits
                .processes,
            None
        );
    }
}
