"""Attacks the sandbox from inside. The server runs this self-test at every start.

Runs in the sandbox of session code and changes nothing. Takes one JSON object: the server's process
id, a file and a directory of the server, and a Unix socket and a loopback port that the server
listens on. Prints one JSON object that maps every attempt to null if it was denied, and otherwise
to a short description.
"""

import ctypes
import errno
import json
import os
import platform
import signal
import socket
import sys

libc = ctypes.CDLL(None, use_errno=True)
ARM = platform.machine() == "aarch64"
# System call numbers on x86-64 and arm64. They are equal from 424 on.
CALLS = {
    "ptrace": (101, 117),
    "unshare": (272, 97),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "process_vm_readv": (310, 270),
    "shmget": (29, 194),
    "io_uring_setup": (425, 425),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
}
CLONE_NEWUSER, MSG_FASTOPEN, IPPROTO_MPTCP = 0x10000000, 0x20000000, 262
SECCOMP_MODE_FILTER = 2


def call(name, *arguments):
    """Makes a system call. Raises OSError if it fails."""
    ctypes.set_errno(0)
    result = libc.syscall(CALLS[name][ARM], *arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def denied_by_filter(name, *arguments):
    """Returns None if the seccomp filter denied the call.

    A call that fails for another reason reached the kernel.
    """
    try:
        call(name, *arguments)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.ENOSYS, errno.EACCES):
            return None
        return f"{name} reached the kernel ({error.strerror})"
    return f"{name} succeeded"


def attempt(action):
    """Runs an action. Returns None if it was denied."""
    try:
        found = action()
    except OSError:
        return None
    return str(found)


def status(field):
    with open("/proc/self/status") as file:
        return next(line.split(":")[1].strip() for line in file if line.startswith(field + ":"))


def main(given):
    pid, path, directory = given["pid"], given["file"], given["dir"]
    there = ("127.0.0.1", given["port"])

    def read(name):
        with open(name, "rb") as file:
            return f"{len(file.read(64))} bytes of {name} were read"

    def make():
        name = os.path.join(directory, "made-by-code")
        with open(name, "x"):
            pass
        os.unlink(name)
        return f"a file was created in {directory}"

    def connect(*how):
        with socket.socket(*how) as it:
            it.settimeout(2)
            it.connect(there)
            return f"connected to port {there[1]}"

    def fast_open():
        with socket.socket() as it:
            it.settimeout(2)
            it.sendto(b"x", MSG_FASTOPEN, there)
            return f"sent to port {there[1]}"

    def listen():
        with socket.socket() as it:
            it.listen()
            return f"listening on {it.getsockname()[1]}"

    def bind():
        with socket.socket() as it:
            it.bind(("0.0.0.0", 0))
            return f"bound to port {it.getsockname()[1]}"

    def make_socket(*how):
        with socket.socket(*how):
            return "a socket was created"

    def reach_unix():
        with socket.socket(socket.AF_UNIX) as it:
            it.connect(given["socket"])
            return "connected to a Unix socket of the server"

    def reconnect():
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with one, other:
            return "a pair of datagram sockets was created"

    def kernel():
        found = [
            denied_by_filter("ptrace", 16, pid, 0, 0),
            denied_by_filter("unshare", CLONE_NEWUSER),
            denied_by_filter("keyctl", 0, -3, 0),
            denied_by_filter("add_key", b"user", b"x", b"x", 1, -3),
            denied_by_filter("bpf", 0, 0, 0),
            denied_by_filter("perf_event_open", 0, 0, -1, -1, 0),
            denied_by_filter("userfaultfd", 0),
            denied_by_filter("io_uring_setup", 0, 0),
            denied_by_filter("process_vm_readv", pid, 0, 0, 0, 0, 0),
            denied_by_filter("pidfd_getfd", -1, 0, 0),
        ]
        return "; ".join(filter(None, found)) or None

    def environment():
        leaked = [name for name in os.environ if name.startswith(("HEARTH", "AWS", "SECRET"))]
        return f"{leaked} were inherited" if leaked else None

    def descriptors():
        def is_open(fd):
            try:
                return os.fstat(fd) is not None
            except OSError:
                return False

        # Skips the descriptor of the listing itself, which is closed by now.
        leaked = [fd for fd in map(int, os.listdir("/proc/self/fd")) if fd > 2 and is_open(fd)]
        return f"descriptors {leaked} were inherited" if leaked else None

    def locks():
        if status("NoNewPrivs") != "1":
            return "programs can gain privileges"
        return None if int(status("Seccomp")) == SECCOMP_MODE_FILTER else "no seccomp filter is active"

    return {
        "environment": environment(),
        "descriptors": descriptors(),
        "locks": locks(),
        "server": attempt(lambda: read(f"/proc/{pid}/environ")) or attempt(lambda: read(f"/proc/{pid}/mem")),
        "signals": attempt(lambda: os.kill(pid, 0) or "the server can be signalled"),
        "limits": attempt(lambda: os.setpriority(os.PRIO_PROCESS, pid, 0) or "the server's priority can be changed"),
        "read": attempt(lambda: read(path)) or attempt(lambda: f"{directory} was listed: {len(os.listdir(directory))}"),
        "write": attempt(make),
        "metadata": attempt(lambda: os.utime(path) or "timestamps of the server's files can be changed"),
        "tcp": attempt(connect),
        "fast-open": attempt(fast_open),
        "listen": attempt(bind) or attempt(listen),
        "multipath": attempt(lambda: connect(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)),
        "datagrams": attempt(lambda: make_socket(socket.AF_INET, socket.SOCK_DGRAM))
        or attempt(lambda: make_socket(socket.AF_INET6, socket.SOCK_DGRAM)),
        "raw": attempt(lambda: make_socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
        or attempt(lambda: make_socket(socket.AF_PACKET, socket.SOCK_RAW)),
        "unix": attempt(reach_unix) or attempt(reconnect),
        "kernel": kernel(),
        "ipc": denied_by_filter("shmget", 0x48656172, 0, 0),
    }


if __name__ == "__main__":
    # Everything that an attempt created ends with the process, after at most 20 s.
    signal.alarm(20)
    json.dump(main(json.loads(sys.argv[1])), sys.stdout)
