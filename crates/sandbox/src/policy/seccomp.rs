//! seccomp: the system calls that are denied, and their errors (`seccomp(2)`).
//!
//! The filters deny the calls in `calls` and those that are newer than the last reviewed one. Other
//! calls are allowed, because sessions run arbitrary programs. The rules here cover what Landlock
//! does not (datagrams, raw sockets, TCP Fast Open, MPTCP, Unix sockets).
//!
//! A filter has one error, so there is one filter for each error. If two filters deny a call, the
//! error of the last one installed applies.

use std::collections::BTreeMap;
use std::io;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use crate::policy::bpf;
use crate::policy::calls::{ALWAYS_DENIED, DENIED_TO_CODE, UNIMPLEMENTED};
use crate::policy::sandbox_policy::{Syscalls, UnixSockets};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// `send(2)`: connects and sends in one call, which bypasses rules for `connect`.
const MSG_FASTOPEN: u64 = 0x2000_0000;

/// `setpriority(2)`: selects one process or thread.
const PRIO_PROCESS: u64 = 0;
/// `ioprio_set(2)`: selects one process or thread.
const IOPRIO_WHO_PROCESS: u64 = 1;

/// The bits of a socket's type that are not flags (`SOCK_TYPE_MASK` in the kernel).
const TYPE_MASK: u64 = 0xf;

/// `setsockopt(2)`: installs another protocol on a TCP socket, which Landlock may not cover.
const TCP_ULP: u64 = 31;

/// All kinds of namespaces that `clone(2)` can create.
const NAMESPACES: [i32; 8] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    0x80, // CLONE_NEWTIME
];

/// Returns the filters of a program in the order of installation.
pub(crate) fn filters(which: Syscalls, unix_sockets: &UnixSockets) -> io::Result<Vec<BpfProgram>> {
    let mut unimplemented = UNIMPLEMENTED.to_vec();
    if which == Syscalls::Browser {
        // Its zygote creates namespaces, which browsers may do, so the flags need no check.
        unimplemented.retain(|&call| call != libc::SYS_clone3);
    }
    Ok(vec![
        compile(all(&unimplemented), libc::ENOSYS)?,
        compile(fast_open_rules()?, libc::EOPNOTSUPP)?,
        compile(socket_rules(unix_sockets)?, libc::EACCES)?,
        compile(denied_calls(which)?, libc::EPERM)?,
        bpf::unreviewed_filter(),
    ])
}

fn all(calls: &[i64]) -> Rules {
    calls.iter().map(|&call| (call, Vec::new())).collect()
}

fn denied_calls(which: Syscalls) -> io::Result<Rules> {
    let mut rules = all(ALWAYS_DENIED);
    let tty = |request: u64| rule(&[(1, SeccompCmpOp::Eq, request)]);
    // Both requests insert input into a terminal.
    rules.insert(
        libc::SYS_ioctl,
        vec![tty(libc::TIOCSTI)?, tty(libc::TIOCLINUX)?],
    );
    if which == Syscalls::Code {
        rules.extend(all(DENIED_TO_CODE));
        let flags = NAMESPACES.map(|flag| u64::from(flag.unsigned_abs()));
        let namespaces = flags
            .iter()
            .map(|&flag| rule(&[(0, SeccompCmpOp::MaskedEq(flag), flag)]));
        rules.insert(libc::SYS_clone, namespaces.collect::<io::Result<_>>()?);
        // Code can change only its own scheduling: 0 means the caller. Browsers also change that of
        // their threads, by thread id.
        for call in [
            libc::SYS_sched_setattr,
            libc::SYS_sched_setparam,
            libc::SYS_sched_setscheduler,
        ] {
            rules.insert(call, vec![rule(&[(0, SeccompCmpOp::Ne, 0)])?]);
        }
        // A process that is not dumpable would also hide its memory usage from the server.
        let hide = u64::from(libc::PR_SET_DUMPABLE.unsigned_abs());
        rules.insert(libc::SYS_prctl, vec![rule(&[(0, SeccompCmpOp::Eq, hide)])?]);
    }
    for call in [libc::SYS_prlimit64, libc::SYS_sched_setaffinity] {
        rules.insert(call, vec![rule(&[(0, SeccompCmpOp::Ne, 0)])?]);
    }
    let upper_protocol = [
        (
            1,
            SeccompCmpOp::Eq,
            u64::from(libc::IPPROTO_TCP.unsigned_abs()),
        ),
        (2, SeccompCmpOp::Eq, TCP_ULP),
    ];
    rules.insert(libc::SYS_setsockopt, vec![rule(&upper_protocol)?]);
    // Programs can change only their own priority: not that of a process id, and not that of all
    // processes of a user or group, which needs no id.
    for (call, process) in [
        (libc::SYS_setpriority, PRIO_PROCESS),
        (libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS),
    ] {
        let mut denied = vec![rule(&[(0, SeccompCmpOp::Ne, process)])?];
        if which == Syscalls::Code {
            denied.push(rule(&[(1, SeccompCmpOp::Ne, 0)])?);
        }
        rules.insert(call, denied);
    }
    Ok(rules)
}

fn fast_open_rules() -> io::Result<Rules> {
    let flagged = |argument| {
        Ok::<_, io::Error>(vec![rule(&[(
            argument,
            SeccompCmpOp::MaskedEq(MSG_FASTOPEN),
            MSG_FASTOPEN,
        )])?])
    };
    Ok(Rules::from([
        (libc::SYS_sendto, flagged(3)?),
        (libc::SYS_sendmsg, flagged(2)?),
        (libc::SYS_sendmmsg, flagged(3)?),
    ]))
}

/// Returns the rules for sockets. They allow TCP client sockets, and route netlink sockets, which
/// list network interfaces (`rtnetlink(7)`).
fn socket_rules(unix_sockets: &UnixSockets) -> io::Result<Rules> {
    use SeccompCmpOp::{Eq, Ge, Gt, Le, MaskedEq, Ne};
    let number = |constant: i32| u64::from(constant.unsigned_abs());
    let (unix, inet, inet6) = (
        number(libc::AF_UNIX),
        number(libc::AF_INET),
        number(libc::AF_INET6),
    );
    let netlink = number(libc::AF_NETLINK);
    let (datagram, raw) = (number(libc::SOCK_DGRAM), number(libc::SOCK_RAW));
    let mut denied = vec![
        rule(&[(0, Eq, 0)])?,
        rule(&[(0, Gt, inet), (0, Le, inet6 - 1)])?,
        rule(&[(0, Gt, inet6), (0, Le, netlink - 1)])?,
        rule(&[(0, Gt, netlink)])?,
        rule(&[(0, Eq, netlink), (2, Ne, number(libc::NETLINK_ROUTE))])?,
    ];
    for family in [inet, inet6] {
        // Socket types are 1 to 6 and 10; SOCK_STREAM is 1.
        for kind in [0, datagram, 3, 4, 5, 6, 10] {
            denied.push(rule(&[(0, Eq, family), (1, MaskedEq(TYPE_MASK), kind)])?);
        }
        // MPTCP and SCTP are streams too, and Landlock does not cover them.
        denied.push(rule(&[
            (0, Eq, family),
            (2, Ne, 0),
            (2, Ne, number(libc::IPPROTO_TCP)),
        ])?);
    }
    match unix_sockets {
        UnixSockets::Denied => denied.push(rule(&[(0, Eq, unix)])?),
        // The notify filter handles stream sockets.
        UnixSockets::Brokered(_) => {
            for kind in [datagram, number(libc::SOCK_SEQPACKET), raw] {
                denied.push(rule(&[(0, Eq, unix), (1, MaskedEq(TYPE_MASK), kind)])?);
            }
        }
        UnixSockets::Allowed => {
            for kind in [datagram, raw] {
                denied.push(rule(&[(0, Eq, unix), (1, MaskedEq(TYPE_MASK), kind)])?);
            }
        }
    }
    // One end of a datagram socket pair can be reconnected to any path; a stream cannot (EISCONN).
    // A raw Unix socket is a datagram socket, too (`unix_create` in net/unix/af_unix.c).
    let mut pair = vec![rule(&[(0, Ge, inet)])?];
    for kind in [datagram, raw] {
        pair.push(rule(&[(1, MaskedEq(TYPE_MASK), kind)])?);
    }
    let mut rules = Rules::from([(libc::SYS_socket, denied), (libc::SYS_socketpair, pair)]);
    if *unix_sockets != UnixSockets::Allowed {
        // `listen` on an unbound socket binds a port implicitly, which Landlock does not check.
        rules.insert(libc::SYS_listen, Vec::new());
    }
    Ok(rules)
}

fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> io::Result<SeccompRule> {
    let conditions = conditions
        .iter()
        .map(|(argument, operator, value)| {
            SeccompCondition::new(*argument, Dword, operator.clone(), *value)
        })
        .collect::<Result<Vec<_>, _>>();
    conditions
        .and_then(SeccompRule::new)
        .map_err(io::Error::other)
}

fn compile(rules: Rules, errno: i32) -> io::Result<BpfProgram> {
    let arch = if cfg!(target_arch = "aarch64") {
        TargetArch::aarch64
    } else {
        TargetArch::x86_64
    };
    let deny = SeccompAction::Errno(errno.unsigned_abs());
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, deny, arch).map_err(io::Error::other)?;
    BpfProgram::try_from(filter).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::disallowed_methods,
        reason = "a test may start programs, because it ends with them"
    )]

    use std::process::Command;

    use super::*;
    use crate::policy::calls::{LAST_REVIEWED, UNASSIGNED};

    /// Makes each system call of its arguments with invalid arguments and prints the error number.
    const CALLER: &str = "
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
for number in map(int, sys.argv[1:]):
    ctypes.set_errno(0)
    libc.syscall(ctypes.c_long(number), *[ctypes.c_long(-1)] * 6)
    print(ctypes.get_errno())
";

    /// Returns the error of each call in a program under `filters`. Filters that were installed
    /// earlier deny all of them with EXDEV, so no call reaches the kernel.
    fn errors(filters: Vec<BpfProgram>, calls: &[i64]) -> Vec<(i64, i32)> {
        let decoy = compile(all(calls), libc::EXDEV).expect("a filter");
        let arguments: Vec<String> = calls.iter().map(i64::to_string).collect();
        // A filter applies to the thread that installs it, and to the programs that it starts.
        let output = std::thread::spawn(move || {
            for filter in std::iter::once(&decoy).chain(&filters) {
                seccompiler::apply_filter(filter).expect("installed");
            }
            Command::new("/usr/bin/python3")
                .args(["-I", "-c", CALLER])
                .args(arguments)
                .output()
                .expect("python starts")
        });
        let output = output.join().expect("the thread ends");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let errors = text.lines().map(|line| line.parse().expect("a number"));
        calls.iter().copied().zip(errors).collect()
    }

    /// Returns the filters of code without Unix sockets.
    fn filters_of(which: Syscalls) -> Vec<BpfProgram> {
        filters(which, &UnixSockets::Denied).expect("filters")
    }

    #[track_caller]
    fn assert_all(errors: &[(i64, i32)], expected: i32) {
        let others: Vec<_> = errors
            .iter()
            .filter(|(_, errno)| *errno != expected)
            .collect();
        assert_eq!(others, Vec::<&(i64, i32)>::new(), "expected {expected}");
    }

    #[test]
    fn calls_that_were_not_reviewed_are_not_implemented() {
        let newer = LAST_REVIEWED + 1..=LAST_REVIEWED + 50;
        let calls: Vec<i64> = newer.chain(UNASSIGNED).map(i64::from).collect();
        for which in [Syscalls::Code, Syscalls::Browser] {
            let errors = errors(filters_of(which), &calls);
            assert!(errors.len() > 100, "{errors:?}");
            assert_all(&errors, libc::ENOSYS);
        }
        // Without the filters, the decoy denies these calls.
        assert_all(&errors(Vec::new(), &calls), libc::EXDEV);
    }

    #[test]
    fn denied_calls_return_their_errors() {
        // The kernel may run the two calls of its trampolines without a filter.
        let are_filtered =
            |call: &&i64| !cfg!(target_arch = "x86_64") || !(335..=336).contains(*call);
        let denied: Vec<i64> = ALWAYS_DENIED.iter().filter(are_filtered).copied().collect();
        let absent: Vec<i64> = UNIMPLEMENTED
            .iter()
            .filter(|&&call| call != libc::SYS_clone3)
            .copied()
            .collect();
        for which in [Syscalls::Code, Syscalls::Browser] {
            assert_all(&errors(filters_of(which), &denied), libc::EPERM);
            assert_all(&errors(filters_of(which), &absent), libc::ENOSYS);
        }
        assert_all(
            &errors(filters_of(Syscalls::Code), DENIED_TO_CODE),
            libc::EPERM,
        );
        let clone3 = [libc::SYS_clone3];
        assert_all(&errors(filters_of(Syscalls::Code), &clone3), libc::ENOSYS);
    }

    #[test]
    fn recent_calls_that_programs_need_are_allowed() {
        let needed = [
            libc::SYS_openat2,
            libc::SYS_landlock_create_ruleset,
            // fchmodat2, map_shadow_stack, mseal
            452,
            453,
            462,
        ];
        for which in [Syscalls::Code, Syscalls::Browser] {
            assert_all(&errors(filters_of(which), &needed), libc::EXDEV);
        }
    }
}
