//! The sandbox policy of each kind of program. All functions are pure and read no files.

use std::path::{Path, PathBuf};

use hearth_sandbox::{Access, Grant, SandboxPolicy, Syscalls, UnixSocketBroker, UnixSockets};

use crate::config::Limits;

/// System directories with programs and libraries.
const SYSTEM: [&str; 7] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
];

/// System settings that programs read. They contain no secrets or personal data.
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

/// The system's font cache. Without it, every browser scans all fonts when it starts.
const FONT_CACHE: &str = "/var/cache/fontconfig";

/// The maximum number of a browser's threads. A browser with many tabs has several hundred.
const BROWSER_PROCESSES: u64 = 4096;

/// The open files limit of a browser, as a multiple of the limit of code.
const BROWSER_OPEN_FILES_FACTOR: u64 = 4;

/// The niceness of code, which yields to browsers and the server when the processor is busy.
const CODE_NICENESS: i32 = 5;

/// The paths that the policies of a session grant. All of them exist.
#[derive(Clone, Debug)]
pub(crate) struct SandboxPaths {
    /// The toolchain's directory.
    pub runtime: PathBuf,
    /// Directories of interpreters elsewhere.
    pub interpreters: Vec<PathBuf>,
    /// The browser's executable.
    pub browser_program: PathBuf,
    /// The agent-browser daemon's executable.
    pub agent_program: PathBuf,
    /// The browser's directory.
    pub browser: PathBuf,
    /// The default directory for downloads.
    pub downloads: PathBuf,
    /// The working directory of code.
    pub work: PathBuf,
    /// The directory of the agent-browser daemon.
    pub agent: PathBuf,
    /// The daemon's socket.
    pub agent_socket: PathBuf,
    /// The directory of the file with certificate authorities.
    pub certificates: Option<PathBuf>,
    /// The directory in which kernels find Node's compile cache.
    pub compile_cache: Option<PathBuf>,
}

/// The loopback ports that programs can connect to.
#[derive(Clone, Debug)]
pub(crate) struct Ports {
    /// The CDP listener for the session's own programs.
    pub cdp: u16,
    /// The egress proxy.
    pub egress: Vec<u16>,
}

/// Returns the policy of untrusted code, without access to Unix sockets.
fn plan_without_sockets(
    paths: &SandboxPaths,
    ports: &Ports,
    limits: Limits,
    has_own_uid: bool,
) -> SandboxPolicy {
    let mut files = common();
    files.extend(
        paths
            .interpreters
            .iter()
            .map(|dir| grant(dir, Access::Execute)),
    );
    files.push(grant(&paths.runtime, Access::Execute));
    files.push(grant("/proc", Access::Read));
    let certificates = paths.certificates.iter();
    files.extend(certificates.map(|dir| grant(dir, Access::Read)));
    files.extend([&paths.work, &paths.agent, &paths.downloads].map(|dir| grant(dir, Access::Full)));
    SandboxPolicy {
        files,
        connect_ports: ports.egress.iter().copied().chain([ports.cdp]).collect(),
        syscalls: Syscalls::Code,
        unix_sockets: UnixSockets::Denied,
        limits: hearth_sandbox::Limits {
            open_files: Some(limits.open_files),
            file_bytes: Some(limits.disk_mb << 20),
            // Node does not start if it cannot reserve more address space than a small session has
            // memory. The memory watcher enforces the limit instead.
            data_bytes: None,
            // The kernel counts all processes of a user id, so this needs a separate id per
            // session. The limit stops fork bombs that outrun the memory watcher. Only the watcher
            // reports the code that it kills.
            processes: has_own_uid.then_some(8 * limits.processes + 1024),
            niceness: CODE_NICENESS,
        },
    }
}

/// Returns the policy of kernels and shells: untrusted code that can also connect to the
/// agent-browser daemon.
pub(crate) fn plan_code(
    paths: &SandboxPaths,
    ports: &Ports,
    limits: Limits,
    has_own_uid: bool,
) -> SandboxPolicy {
    let broker = UnixSocketBroker {
        program: paths.agent_program.clone(),
        socket: paths.agent_socket.clone(),
    };
    let mut policy = plan_without_sockets(paths, ports, limits, has_own_uid);
    let compile_cache = paths.compile_cache.iter();
    policy
        .files
        .extend(compile_cache.map(|dir| grant(dir, Access::Read)));
    SandboxPolicy {
        unix_sockets: UnixSockets::Brokered(broker),
        ..policy
    }
}

/// Returns the policy of the agent-browser daemon. The daemon listens on a Unix socket and runs
/// commands of untrusted code, so it cannot execute any other program.
pub(crate) fn plan_agent(
    paths: &SandboxPaths,
    ports: &Ports,
    limits: Limits,
    has_own_uid: bool,
) -> SandboxPolicy {
    let mut policy = plan_without_sockets(paths, ports, limits, has_own_uid);
    for grant in &mut policy.files {
        if grant.access == Access::Execute {
            grant.access = Access::Read;
        }
    }
    policy
        .files
        .push(grant(&paths.agent_program, Access::Execute));
    SandboxPolicy {
        unix_sockets: UnixSockets::Allowed,
        ..policy
    }
}

/// Returns the policy of the browser. It can connect only to the egress proxy. It receives commands
/// through a pipe.
pub(crate) fn plan_browser(
    paths: &SandboxPaths,
    ports: &Ports,
    limits: Limits,
    has_own_uid: bool,
) -> SandboxPolicy {
    // Full Chromium detects a second instance on its profile through a Unix socket, and does not
    // start without one.
    let name = paths
        .browser_program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let is_headless_shell = name.contains("headless");
    let mut files = common();
    files.extend(
        paths
            .browser_program
            .parent()
            .map(|dir| grant(dir, Access::Execute)),
    );
    // Chromium writes to files there to set up its own sandbox.
    files.push(Grant {
        path: "/proc".into(),
        access: Access::ReadWrite,
    });
    files.push(grant("/proc", Access::Read));
    files.push(grant(FONT_CACHE, Access::Read));
    files.extend([&paths.browser, &paths.work].map(|dir| grant(dir, Access::Full)));
    SandboxPolicy {
        files,
        connect_ports: ports.egress.clone(),
        syscalls: Syscalls::Browser,
        unix_sockets: if is_headless_shell {
            UnixSockets::Denied
        } else {
            UnixSockets::Allowed
        },
        limits: hearth_sandbox::Limits {
            // This is more than for code, because the kernel counts a user's descriptors in flight
            // between processes against the sender's limit. A browser exits when it cannot send
            // one.
            open_files: Some(limits.open_files.saturating_mul(BROWSER_OPEN_FILES_FACTOR)),
            // A browser survives a full disk but not a file size limit, because SIGXFSZ kills it.
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
    files.extend(DEVICES.iter().map(|path| grant(path, Access::ReadWrite)));
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
        ..crate::config::ZERO_LIMITS
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
            certificates: Some(path("/data/ca")),
            compile_cache: Some(path("/data/s/1/c")),
        }
    }

    fn ports() -> Ports {
        Ports {
            cdp: 1000,
            egress: vec![2000],
        }
    }

    fn access(policy: &SandboxPolicy, path: &str) -> Vec<Access> {
        policy
            .files
            .iter()
            .filter(|grant| grant.path == Path::new(path))
            .map(|grant| grant.access)
            .collect()
    }

    #[test]
    fn no_policy_grants_a_whole_directory_of_the_machine() {
        let (paths, ports) = (paths(), ports());
        for plan in [plan_code, plan_agent, plan_browser] {
            let policy = plan(&paths, &ports, LIMITS, true);
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
                assert_eq!(access(&policy, path), [], "{path}");
            }
        }
    }

    #[test]
    fn code_cannot_read_the_profile_and_the_browser_connects_to_the_proxy_only() {
        let code = plan_code(&paths(), &ports(), LIMITS, true);
        assert_eq!(access(&code, "/data/s/1/b"), []);
        assert_eq!(code.connect_ports, [2000, 1000]);
        assert_eq!(
            plan_browser(&paths(), &ports(), LIMITS, true).connect_ports,
            [2000]
        );
    }

    #[test]
    fn caches_are_read_only() {
        let code = plan_code(&paths(), &ports(), LIMITS, true);
        assert_eq!(access(&code, "/data/s/1/c"), [Access::Read]);
        assert_eq!(access(&code, FONT_CACHE), []);
        let browser = plan_browser(&paths(), &ports(), LIMITS, true);
        assert_eq!(access(&browser, FONT_CACHE), [Access::Read]);
    }

    #[test]
    fn code_cannot_create_unix_sockets() {
        let code = plan_code(&paths(), &ports(), LIMITS, true);
        assert!(matches!(code.unix_sockets, UnixSockets::Brokered(_)));
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
    fn processes_are_limited_only_with_a_user_id_per_session() {
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
