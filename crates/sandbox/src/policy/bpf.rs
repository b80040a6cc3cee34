//! Seccomp filters that `seccompiler` cannot express, as BPF instructions.

use nix::libc;
use seccompiler::{BpfProgram, sock_filter};

use crate::policy::calls::{LAST_REVIEWED, UNASSIGNED};

/// The length of an IPv4 address in `connect(2)`. Calls with this length send no notification.
const IPV4_ADDRESS_BYTES: u32 = 16;

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
    jump(0x15, value, jt, jf) // BPF_JMP | BPF_JEQ | BPF_K
}

const fn ret(action: u32) -> sock_filter {
    sock_filter {
        code: 0x06,
        jt: 0,
        jf: 0,
        k: action,
    } // BPF_RET | BPF_K
}

const fn jump(operator: u16, value: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        code: operator,
        jt,
        jf,
        k: value,
    }
}

/// Returns a filter that denies all system calls that were not reviewed (`calls`) with ENOSYS. They
/// include the x32 system calls of x86-64, which are the same calls with higher numbers.
pub(crate) fn unreviewed_filter() -> BpfProgram {
    const GREATER: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
    const GREATER_OR_EQUAL: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
    vec![
        load(NUMBER),
        jump(GREATER, LAST_REVIEWED, 3, 0),
        jump(GREATER_OR_EQUAL, UNASSIGNED.end, 1, 0),
        jump(GREATER_OR_EQUAL, UNASSIGNED.start, 1, 0),
        ret(libc::SECCOMP_RET_ALLOW),
        ret(libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs()),
    ]
}

/// Returns the filter of a broker. It sends a notification when a program creates a Unix socket,
/// and when it connects to an address that is not IPv4. `seccompiler` lacks this action.
pub(crate) fn notify_filter() -> BpfProgram {
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
