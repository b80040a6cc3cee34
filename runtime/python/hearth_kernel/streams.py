"""Provides text streams for stdout and stderr.

They are unbuffered, so that the output of a killed cell is not lost.

Independent of cells and frames.
"""

import io
import select
import sys


class _WholeWrites(io.FileIO):
    """A file whose writes are complete, even if a child process made the pipe non-blocking."""

    def write(self, data):
        rest = memoryview(data).cast("B")
        total = len(rest)
        while rest:
            written = super().write(rest)
            if written is None:
                room = select.poll()
                room.register(self.fileno(), select.POLLOUT)
                room.poll()
            else:
                rest = rest[written:]
        return total


def _open(fd, name):
    raw = _WholeWrites(fd, "wb", closefd=False)
    # Print text even if it is not valid Unicode.
    stream = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", newline="\n", write_through=True)
    raw.name = name
    stream.mode = "w"
    return stream


def install():
    """Replaces sys.stdout and sys.stderr.

    Returns a function that writes to fd 2, and a function that flushes both streams.
    """
    sys.stdout = sys.__stdout__ = out = _open(1, "<stdout>")
    sys.stderr = sys.__stderr__ = err = _open(2, "<stderr>")
    own = _open(2, "<stderr>")

    def write_error(text):
        try:
            own.write(text)
        except (OSError, ValueError):
            pass  # fd 2 is closed

    def flush():
        for stream in (sys.stdout, sys.stderr, out, err):
            try:
                stream.flush()
            except Exception:
                pass  # closed, or replaced by an object that cannot flush

    return write_error, flush
