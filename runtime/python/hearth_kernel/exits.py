"""Gives the end of the process a meaning in a process that outlives the code.

`sys.exit()` ends the cell that calls it. Code of an earlier cell, such as a thread or a task, cannot
end a later one. Independent of frames and evaluation.
"""

import os
import sys
import threading

from hearth_kernel import nesting

LOST = "the variables of Python are lost"
_real_exit = os._exit
_getpid = os.getpid


def code_of(leaving, write_error):
    """Returns the exit code of a SystemExit. Prints its message, as the interpreter does."""
    code = leaving.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    try:
        write_error(f"{code}\n")
    except Exception:
        pass  # its str() failed
    return 1


class Exits:
    """Decides about exits that do not come from the cell itself."""

    def __init__(self, write_error, announce):
        """`announce(exit_code)` reports that the cell ends with the process."""
        self._write_error = write_error
        self._announce = announce
        self._pid = _getpid()
        self._cell = 0  # the number of the current cell, or of the last one
        self._escaped_exit = None  # a SystemExit that a task or a callback raised during the cell
        self._is_running = False
        self._follow_threads()
        os._exit = self._exit_process

    def begin(self, cell):
        self._cell, self._is_running, self._escaped_exit = cell, True, None

    def end(self, ended_by=None):
        """Reports an exit that did not end the cell. `ended_by` is the SystemExit that did."""
        self._is_running = False
        escaped, self._escaped_exit = self._escaped_exit, None
        if escaped is not None and escaped is not ended_by:
            self._report_ignored(escaped)

    def escaped(self, leaving):
        """Handles a SystemExit that left the event loop.

        A cell that awaits the task that raised it gets the exception too, and ends.
        """
        if self._is_running:
            self._escaped_exit = leaving
        else:
            self._report_ignored(leaving)

    def _report_ignored(self, leaving):
        call = "" if leaving.code is None else repr(leaving.code)
        self._write_error(f"sys.exit({call}) was ignored: a task or a callback called it\n")

    def _follow_threads(self):
        start, exits = threading.Thread.start, self

        def start_in_cell(thread):
            thread._hearth_cell = exits._cell if exits._is_running else None
            start(thread)

        threading.Thread.start = start_in_cell

    def _exit_process(self, status):
        """Replaces os._exit()."""
        if _getpid() != self._pid:
            _real_exit(status)  # a child process that the cell forked
        if self._is_running and nesting.is_in_cell():
            self._write_error(f"os._exit({status}) ended the process: {LOST}\n")
            self._announce(status & 0xFF)
            _real_exit(status)
        owner = getattr(threading.current_thread(), "_hearth_cell", None)
        if self._is_running and owner == self._cell:
            # The code has not ended, so this is not a success.
            self._write_error(f"os._exit({status}) in a thread ended the process: {LOST}\n")
            _real_exit(status or 1)
        self._write_error(f"os._exit({status}) was ignored: it was called by code of an earlier call\n")
        sys.exit(status)
