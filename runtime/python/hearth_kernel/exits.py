"""Gives the end of the process a meaning in a process that outlives the code.

`sys.exit()` ends the cell that calls it, also in a task, a callback or a listener of the cell. Code
of an earlier cell cannot end a later one, apart from signal handlers, whose exit is a failure.
Independent of frames and evaluation.
"""

import asyncio
import contextvars
import os
import sys
import threading
import traceback

from hearth_kernel import nesting

LOST = "the variables of Python are lost"
_real_exit = os._exit
_getpid = os.getpid
_run_handle = asyncio.Handle._run.__code__
# The number of the cell that started a task or registered a callback or a listener.
_owner = contextvars.ContextVar("hearth_cell", default=None)


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


def _argument(leaving):
    return "" if leaving.code is None else repr(leaving.code)


def _owner_of(leaving):
    """Returns the number of the cell whose task, callback or listener raised a SystemExit, or None."""
    if hasattr(leaving, "_hearth_owner"):
        return leaving._hearth_owner
    owner = None
    for frame, _ in traceback.walk_tb(leaving.__traceback__):
        if frame.f_code is _run_handle:
            owner = frame.f_locals["self"]._context.get(_owner)
    return owner


class Exits:
    """Decides about exits that do not come from the cell itself."""

    def __init__(self, write_error, announce):
        """`announce(exit_code)` reports that the cell ends with the process."""
        self._write_error = write_error
        self._announce = announce
        self._pid = _getpid()
        self._cell = 0  # the number of the current cell, or of the last one
        self._task = None  # the task of the cell while an exit can end it
        self._asked = None  # a SystemExit of the cell that was not raised in its task
        self._escaped_exit = None  # a SystemExit of other code that was raised during the cell
        self._is_running = False
        self.handler_cell = None  # the number of the cell that installed the signal handler that runs
        self._follow_threads()
        os._exit = self._exit_process

    @property
    def cell(self):
        """The number of the current cell, or of the last one."""
        return self._cell

    def begin(self, cell):
        """Begins a cell, in the task that runs it."""
        self._cell, self._is_running, self._asked, self._escaped_exit = cell, True, None, None
        self._task = asyncio.current_task()
        _owner.set(cell)

    def settle(self):
        """Returns the SystemExit that has ended the code of the cell from outside, or None."""
        self._task = None
        asked, self._asked = self._asked, None
        return asked

    def end(self, ended_by=None):
        """Reports an exit that did not end the cell. `ended_by` is the SystemExit that did."""
        self._is_running = False
        escaped, self._escaped_exit = self._escaped_exit, None
        if escaped is not None and escaped is not ended_by:
            self._report_ignored(escaped)

    def escaped(self, leaving):
        """Handles a SystemExit that left the event loop or a listener.

        The cell that owns the code is cancelled, as asyncio.run() does with its coroutine. A cell
        that awaits a task of an earlier cell gets the exception, and ends.
        """
        if getattr(leaving, "_hearth_seen", False):
            return  # a task raises it in the loop, and again for a listener
        leaving._hearth_seen = True
        if self._task is not None and _owner_of(leaving) == self._cell:
            # A listener may run in another thread.
            if self._asked is None:
                self._asked = leaving
                self._task.get_loop().call_soon_threadsafe(self._cancel, self._task)
        elif self._is_running:
            self._escaped_exit = leaving
        else:
            self._report_ignored(leaving)

    def interrupt(self, error, report):
        """Raises an error of a signal handler in the current cell, where it waits.

        Returns whether a cell runs. `report(error)` prints an error that the cell cannot get, because
        it ends first or gets another one.
        """
        task = self._task
        if task is None:
            return False

        def deliver():
            if task is not self._task or not nesting.interrupt(task, error):
                report(error)

        task.get_loop().call_soon_threadsafe(deliver)
        return True

    def disown(self, leaving, cell):
        """Makes the SystemExit of a signal handler of `cell` a failure if another cell runs.

        The code that it ends has not ended, so this is not a success.
        """
        if not self._is_running or cell == self._cell:
            return
        self._write_error(f"sys.exit({_argument(leaving)}) was called by a signal handler of an earlier call\n")
        if leaving.code is None or (isinstance(leaving.code, int) and leaving.code & 0xFF == 0):
            leaving.code = 1

    def _cancel(self, task):
        if task is self._task:
            task.cancel()

    def _report_ignored(self, leaving):
        self.report_ignored(leaving, "a task or a callback called it")

    def report_ignored(self, leaving, reason):
        """Reports a SystemExit that ends nothing."""
        self._write_error(f"sys.exit({_argument(leaving)}) was ignored: {reason}\n")

    def follow_listeners(self):
        """Runs the listeners of Playwright's objects as part of the cell that added them.

        Otherwise they would run in the task that reads the driver's messages, and a SystemExit would
        end it. Relies on internals of the pinned wheel.
        """
        from playwright._impl.event_emitter import EventEmitter

        add, call, exits = EventEmitter._add_listener, EventEmitter._call_handler, self

        def add_listener(emitter, event, listener, prepend):
            try:
                listener._hearth_cell = _owner.get()
            except AttributeError:
                pass  # a method of the library
            return add(emitter, event, listener, prepend)

        def call_handler(emitter, event, handler, args):
            before = _owner.set(getattr(handler, "_hearth_cell", None))
            try:
                call(emitter, event, handler, args)
            except SystemExit as leaving:
                leaving._hearth_owner = _owner.get()
                exits.escaped(leaving)
            finally:
                _owner.reset(before)

        EventEmitter._add_listener, EventEmitter._call_handler = add_listener, call_handler

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
        handler = self.handler_cell
        if self._is_running and handler not in (None, self._cell):
            sys.exit(status)
        if self._is_running and (nesting.is_in_cell() or handler is not None):
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
