"""Frames between the runner and this kernel: a 4-byte big-endian length, then that many bytes of UTF-8 JSON.

The runner's frames come in on fd 3, ours go out on fd 4. Must not know what a frame means.
"""

import fcntl
import json
import os
import select
import struct
import threading

FD_IN = 3
FD_OUT = 4
# Away from the low numbers, so that code that closes or reuses 3 and 4 hits nothing of ours.
FIRST_PRIVATE_FD = 200
READ_BYTES = 1 << 16
# The code of one run is at most 100,000 characters; anything near this is no frame of the runner's.
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
        # A low RLIMIT_NOFILE: stay where we are, but out of the children.
        os.set_inheritable(fd, False)
        moved = fd
    else:
        os.close(fd)
    os.set_blocking(moved, False)
    return moved


class Channel:
    """`on_frame` gets each frame as a dict, on the loop's thread. The end of fd 3 ends the process at once."""

    def __init__(self, loop, on_frame):
        self._on_frame = on_frame
        self._loop = loop
        self._pending = bytearray()
        self._in = _move(FD_IN)
        self._out = _move(FD_OUT)
        self.listen()
        # The loop cannot look while a cell keeps it busy; this thread sleeps in poll until the writer is gone.
        watcher = threading.Thread(target=self._watch, name="hearth-runner-gone", daemon=True)
        watcher.start()
        os.register_at_fork(after_in_child=self._leave)

    def listen(self):
        """Watches for frames; also again, for user code may have taken the loop's readers away."""
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
        # A forked child must neither read the runner's frames nor keep the channel open.
        for fd in (self._in, self._out):
            try:
                os.close(fd)
            except OSError:
                pass
