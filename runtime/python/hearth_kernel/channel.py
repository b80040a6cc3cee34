"""Exchanges frames with the runner: a 4-byte big-endian length, then that many bytes of UTF-8 JSON.

The kernel reads from fd 3 and writes to fd 4. Independent of the meaning of frames.
"""

import fcntl
import json
import os
import select
import struct
import threading

FD_IN = 3
FD_OUT = 4
# High numbers, so that user code that closes or reuses 3 and 4 does not affect the kernel.
FIRST_PRIVATE_FD = 200
READ_BYTES = 1 << 16
# The code of one run has at most 100,000 characters, so the runner sends no frame of this size.
MAX_FRAME_BYTES = 64 << 20
WRITE_LIMIT_MS = 30_000
EXIT_BROKEN = 70

_dumps = json.dumps
_loads = json.loads
_exit = os._exit
_read = os.read
_write = os.write


def _move(fd):
    try:
        moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_PRIVATE_FD)
    except OSError:
        # RLIMIT_NOFILE is low. Keep the number, but do not let child processes inherit it.
        os.set_inheritable(fd, False)
        moved = fd
    else:
        os.close(fd)
    os.set_blocking(moved, False)
    return moved


class Channel:
    """The channel to the runner.

    Calls `on_frame` with each frame as a dict, on the loop's thread. The process exits at once when
    the runner closes fd 3.
    """

    def __init__(self, loop, on_frame):
        self._on_frame = on_frame
        self._loop = loop
        self._pending = bytearray()
        self._in = _move(FD_IN)
        self._out = _move(FD_OUT)
        self.listen()
        # A cell can block the loop, so a thread waits in poll until the runner has closed its end.
        watcher = threading.Thread(target=self._watch, name="hearth-runner-gone", daemon=True)
        watcher.start()
        os.register_at_fork(after_in_child=self._leave)

    def listen(self):
        """Watches for frames.

        Called again after each cell, because user code may have removed the loop's readers.
        """
        self._loop.add_reader(self._in, self._readable)

    def send(self, frame):
        body = _dumps(frame, ensure_ascii=False).encode("utf-8")
        rest = memoryview(struct.pack(">I", len(body)) + body)
        while rest:
            try:
                rest = rest[_write(self._out, rest) :]
            except BlockingIOError:
                room = select.poll()
                room.register(self._out, select.POLLOUT)
                if not room.poll(WRITE_LIMIT_MS):
                    _exit(EXIT_BROKEN)
            except OSError:
                _exit(EXIT_BROKEN)

    def _readable(self):
        try:
            chunk = _read(self._in, READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            _exit(EXIT_BROKEN)
        if not chunk:
            _exit(0)
        pending = self._pending
        pending += chunk
        while len(pending) >= 4:
            length = int.from_bytes(pending[:4], "big")
            if length > MAX_FRAME_BYTES:
                _exit(EXIT_BROKEN)
            if len(pending) < 4 + length:
                return
            frame = _loads(pending[4 : 4 + length])
            del pending[: 4 + length]
            self._on_frame(frame)

    def _watch(self):
        hangup = select.poll()
        hangup.register(self._in, 0)
        while True:
            if any(events & (select.POLLHUP | select.POLLERR) for _, events in hangup.poll()):
                _exit(0)

    def _leave(self):
        # A forked child must not read frames or keep the channel open.
        for fd in (self._in, self._out):
            try:
                os.close(fd)
            except OSError:
                pass
