//! seccomp: which system calls a program is refused, and with which error (`seccomp(2)`).
//!
//! These are lists of what is refused, not of what is allowed: the programs are anybody's. They
//! close what Landlock does not see (datagrams, raw sockets, TCP Fast Open, MPTCP, Unix sockets)
//! and take away what only attacks need. A filter has one error, so there is one filter for every
//! error; where two refuse, the one that was put in force last speaks.

use std::collections::BTreeMap;
use std::io;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, sock_filter,
};

use crate::policy::notify::IPV4_ADDRESS_BYTES;
use crate::policy::sandbox_policy::{Syscalls, UnixSockets};

/// A filter as the kernel takes it.
pub(crate) type Program = BpfProgram;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// `send(2)`: connects and sends at once, past every rule about connecting.
const MSG_FASTOPEN: u64 = 0x2000_0000;

/// `setpriority(2)`: one process or thread.
const PRIO_PROCESS: u64 = 0;
/// `ioprio_set(2)`: the same.
const IOPRIO_WHO_PROCESS: u64 = 1;

/// The part of a socket's type that is not a flag (`SOCK_TYPE_MASK` of the kernel).
const TYPE_MASK: u64 = 0xf;

/// Newer than the library's list, and of one number everywhere (`open_tree_attr`, Linux 6.15).
const SYS_OPEN_TREE_ATTR: i64 = 467;

/// `setsockopt(2)`: puts another protocol on a TCP socket, perhaps one that Landlock does not know.
const TCP_ULP: u64 = 31;

/// Every kind of namespace that `clone(2)` can make.
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

/// Refused to everybody with EPERM: other processes' memory and descriptors, mounts, keys, the
/// kernel's own programs and modules, the clock, the machine.
const ALWAYS_DENIED: &[i64] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    SYS_OPEN_TREE_ATTR,
    libc::SYS_pivot_root,
    libc::SYS_setns,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_clock_settime,
    libc::SYS_settimeofday,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_fanotify_init,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// Refused to code as well: a browser builds its sandbox with them.
const DENIED_TO_CODE: &[i64] = &[libc::SYS_unshare, libc::SYS_chroot];

/// As if this kernel had not got them. `clone3` hides its flags behind a pointer, and the C library
/// falls back to `clone`; System V's and POSIX's shared things outlive whoever made them.
const UNIMPLEMENTED: &[i64] = &[
    libc::SYS_clone3,
    libc::SYS_shmget,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
];

/// The filters of a program, in the order in which they are put in force.
pub(crate) fn filters(which: Syscalls, unix_sockets: &UnixSockets) -> io::Result<Vec<Program>> {
    let mut unimplemented = UNIMPLEMENTED.to_vec();
    if which == Syscalls::Browser {
        // Its zygote makes namespaces, which are allowed to it; there is nothing to hide.
        unimplemented.retain(|&call| call != libc::SYS_clone3);
    }
    Ok(vec![
        compile(all(&unimplemented), libc::ENOSYS)?,
        compile(fast_open_rules()?, libc::EOPNOTSUPP)?,
        compile(socket_rules(unix_sockets)?, libc::EACCES)?,
        compile(denied_calls(which)?, libc::EPERM)?,
        #[cfg(target_arch = "x86_64")]
        x32_filter(),
    ])
}

fn all(calls: &[i64]) -> Rules {
    calls.iter().map(|&call| (call, Vec::new())).collect()
}

fn denied_calls(which: Syscalls) -> io::Result<Rules> {
    let mut rules = all(ALWAYS_DENIED);
    let tty = |request: u64| rule(&[(1, SeccompCmpOp::Eq, request)]);
    // Both write into a terminal as if somebody typed it.
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
        // One's own scheduling only: 0 is the caller. A browser has a say in that of its threads,
        // each by its number.
        for call in [
            libc::SYS_sched_setattr,
            libc::SYS_sched_setparam,
            libc::SYS_sched_setscheduler,
        ] {
            rules.insert(call, vec![rule(&[(0, SeccompCmpOp::Ne, 0)])?]);
        }
        // What hides from others of its user hides from whoever measures it, too.
        let hide = u64::from(libc::PR_SET_DUMPABLE.unsigned_abs());
        rules.insert(libc::SYS_prctl, vec![rule(&[(0, SeccompCmpOp::Eq, hide)])?]);
    }
    for call in [libc::SYS_prlimit64, libc::SYS_sched_setaffinity] {
        rules.insert(call, vec![rule(&[(0, SeccompCmpOp::Ne, 0)])?]);
    }
    let upper = [
        (
            1,
            SeccompCmpOp::Eq,
            u64::from(libc::IPPROTO_TCP.unsigned_abs()),
        ),
        (2, SeccompCmpOp::Eq, TCP_ULP),
    ];
    rules.insert(libc::SYS_setsockopt, vec![rule(&upper)?]);
    // Nobody's but one's own: neither by a number nor as one of all who have the same user, which
    // needs none.
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

/// Of sockets, TCP streams that connect and what asks the kernel about interfaces (`rtnetlink(7)`)
/// remain.
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
        // Types are 1 to 5, 6 and 10; the stream is 1.
        for kind in [0, datagram, 3, 4, 5, 6, 10] {
            denied.push(rule(&[(0, Eq, family), (1, MaskedEq(TYPE_MASK), kind)])?);
        }
        // Multipath TCP and SCTP are streams, too, and Landlock knows neither.
        denied.push(rule(&[
            (0, Eq, family),
            (2, Ne, 0),
            (2, Ne, number(libc::IPPROTO_TCP)),
        ])?);
    }
    match unix_sockets {
        UnixSockets::Denied => denied.push(rule(&[(0, Eq, unix)])?),
        // Streams are asked about.
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
    // One end of a pair of datagram sockets can be connected anew, to any path. Streams cannot
    // (EISCONN). A raw Unix socket is one of datagrams, too (`unix_create` in net/unix/af_unix.c).
    let mut pair = vec![rule(&[(0, Ge, inet)])?];
    for kind in [datagram, raw] {
        pair.push(rule(&[(1, MaskedEq(TYPE_MASK), kind)])?);
    }
    let mut rules = Rules::from([(libc::SYS_socket, denied), (libc::SYS_socketpair, pair)]);
    if *unix_sockets != UnixSockets::Allowed {
        // It binds a port by itself, which Landlock does not see.
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

fn compile(rules: Rules, errno: i32) -> io::Result<Program> {
    let arch = if cfg!(target_arch = "aarch64") {
        TargetArch::aarch64
    } else {
        TargetArch::x86_64
    };
    let refuse = SeccompAction::Errno(errno.unsigned_abs());
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).map_err(io::Error::other)?;
    BpfProgram::try_from(filter).map_err(io::Error::other)
}

// Offsets in `struct seccomp_data` (`seccomp(2)`), on a little-endian machine.
const NUMBER: u32 = 0;
const ARGUMENT_0: u32 = 16;
const ARGUMENT_2: u32 = 32;

const fn load(offset: u32) -> sock_filter {
    sock_filter {
        code: 0x20,
        jt: 0,
        jf: 0,
        k: offset,
    } // BPF_LD | BPF_W | BPF_ABS
}

const fn jump_if_equal(value: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        code: 0x15,
        jt,
        jf,
        k: value,
    } // BPF_JMP | BPF_JEQ | BPF_K
}

const fn ret(action: u32) -> sock_filter {
    sock_filter {
        code: 0x06,
        jt: 0,
        jf: 0,
        k: action,
    } // BPF_RET | BPF_K
}

/// x86-64 has a second set of numbers for the same calls, with this bit; no rule above knows them.
#[cfg(target_arch = "x86_64")]
fn x32_filter() -> Program {
    const X32_BIT: u32 = 0x4000_0000;
    let if_set = sock_filter {
        code: 0x45,
        jt: 0,
        jf: 1,
        k: X32_BIT,
    }; // BPF_JMP | BPF_JSET | BPF_K
    vec![
        load(NUMBER),
        if_set,
        ret(libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs()),
        ret(libc::SECCOMP_RET_ALLOW),
    ]
}

/// The filter of a broker: Unix sockets, and connecting with an address that is none of IPv4, are
/// asked about. The library above has no such action.
pub(crate) fn notify_filter() -> Program {
    let call = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    vec![
        load(NUMBER),
        jump_if_equal(call(libc::SYS_socket), 0, 2),
        load(ARGUMENT_0),
        jump_if_equal(libc::AF_UNIX.unsigned_abs(), 3, 4),
        jump_if_equal(call(libc::SYS_connect), 0, 3),
        load(ARGUMENT_2),
        jump_if_equal(IPV4_ADDRESS_BYTES, 1, 0),
        ret(libc::SECCOMP_RET_USER_NOTIF),
        ret(libc::SECCOMP_RET_ALLOW),
    ]
}
