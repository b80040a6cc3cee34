//! The lists of system calls that the `seccomp` filters deny.
//!
//! All system calls of Linux 6.18 were reviewed. Its last number is [`LAST_REVIEWED`]. The filters
//! deny every other number with ENOSYS, as if the kernel did not implement it, so that programs and
//! the C library use an older call.
//!
//! # Reviewing a newer kernel
//!
//! 1. List the calls above [`LAST_REVIEWED`], and those in [`UNASSIGNED`], in
//!    `arch/x86/entry/syscalls/syscall_64.tbl` (x86-64) and `scripts/syscall.tbl` (arm64) of the
//!    kernel's source.
//! 2. A call stays allowed only if programs in sessions need it and it affects nothing outside of
//!    the session. Landlock, if it covers the call, counts as protection. Write the reason into
//!    [`UNIMPLEMENTED`]'s comment.
//! 3. Add every other call to [`UNIMPLEMENTED`], or to [`ALWAYS_DENIED`] if it acts on the machine
//!    or on other processes. `libc` lacks new numbers, so define them here.
//! 4. Raise [`LAST_REVIEWED`], and shrink [`UNASSIGNED`] if a call has a number in it.
//! 5. Add an attempt to `tests/fixtures/attacks/system_calls.py`, and run the tests `attacks`,
//!    `execution_*`, `agent_browser` and `cdp` on that kernel.

use std::ops::Range;

use nix::libc;

/// The number of the newest reviewed call: `file_setattr` (Linux 6.17). Linux 6.18 has no newer
/// one.
pub(crate) const LAST_REVIEWED: u32 = 469;

/// The numbers below [`LAST_REVIEWED`] that new calls could get.
#[cfg(target_arch = "x86_64")]
pub(crate) const UNASSIGNED: Range<u32> = 337..424;
/// The numbers below [`LAST_REVIEWED`] that new calls could get.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) const UNASSIGNED: Range<u32> = 295..424;

// Calls that are newer than the list in `libc`. Numbers from 424 on are the same on all
// architectures.
const SYS_CACHESTAT: i64 = 451;
const SYS_FUTEX_WAKE: i64 = 454;
const SYS_FUTEX_WAIT: i64 = 455;
const SYS_FUTEX_REQUEUE: i64 = 456;
const SYS_STATMOUNT: i64 = 457;
const SYS_LISTMOUNT: i64 = 458;
const SYS_LSM_GET_SELF_ATTR: i64 = 459;
const SYS_LSM_SET_SELF_ATTR: i64 = 460;
const SYS_LSM_LIST_MODULES: i64 = 461;
const SYS_SETXATTRAT: i64 = 463;
const SYS_GETXATTRAT: i64 = 464;
const SYS_LISTXATTRAT: i64 = 465;
const SYS_REMOVEXATTRAT: i64 = 466;
const SYS_OPEN_TREE_ATTR: i64 = 467;
const SYS_FILE_GETATTR: i64 = 468;
const SYS_FILE_SETATTR: i64 = 469;
#[cfg(target_arch = "x86_64")]
const SYS_URETPROBE: i64 = 335;
#[cfg(target_arch = "x86_64")]
const SYS_UPROBE: i64 = 336;

/// Denied to all programs with EPERM: memory and descriptors of other processes, mounts, keys, BPF
/// programs and kernel modules, the clock, and control of the machine.
pub(crate) const ALWAYS_DENIED: &[i64] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
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
    libc::SYS_lookup_dcookie,
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
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    // Only the kernel's own trampolines make these two calls. From Linux 6.14 and 6.18 on, the
    // kernel runs them without a filter, and they fail everywhere else.
    #[cfg(target_arch = "x86_64")]
    SYS_URETPROBE,
    #[cfg(target_arch = "x86_64")]
    SYS_UPROBE,
];

/// Also denied to code, with EPERM. Browsers need them for their own sandbox.
pub(crate) const DENIED_TO_CODE: &[i64] = &[libc::SYS_unshare, libc::SYS_chroot];

/// Denied with ENOSYS, as if the kernel did not implement them.
///
/// - `clone3` passes its flags behind a pointer, which a filter cannot read. The C library falls
///   back to `clone`. Browsers can use it.
/// - System V and POSIX IPC objects outlive the process that created them, and those of the machine
///   may be open to everybody.
/// - Programs have fallbacks for the others, because kernels that Debian 12 supports lack them.
///   `memfd_secret` hides memory from the server, `cachestat` shows which files other programs
///   read, and `file_setattr` sets attributes that Landlock does not cover.
///
/// Of the newest calls, programs can use `fchmodat2` and `map_shadow_stack`, which new C libraries
/// need, and `mseal`, which restricts the caller only.
pub(crate) const UNIMPLEMENTED: &[i64] = &[
    libc::SYS_clone3,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_memfd_secret,
    libc::SYS_futex_waitv,
    libc::SYS_set_mempolicy_home_node,
    SYS_CACHESTAT,
    SYS_FUTEX_WAKE,
    SYS_FUTEX_WAIT,
    SYS_FUTEX_REQUEUE,
    SYS_STATMOUNT,
    SYS_LISTMOUNT,
    SYS_LSM_GET_SELF_ATTR,
    SYS_LSM_SET_SELF_ATTR,
    SYS_LSM_LIST_MODULES,
    SYS_SETXATTRAT,
    SYS_GETXATTRAT,
    SYS_LISTXATTRAT,
    SYS_REMOVEXATTRAT,
    SYS_FILE_GETATTR,
    SYS_FILE_SETATTR,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ustat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_sysfs,
];
