"""Gives signal handlers of user code a meaning in a process that outlives the code.

A handler stays installed after the call that installed it, as in an ordinary process. Python calls
it wherever the main thread is. An exception that it raises must reach the code of the current call,
because the event loop and the kernel, which the handler may interrupt, could not continue after it.

Independent of frames and evaluation.
"""

import asyncio
import functools
import os
import signal

import playwright

from hearth_kernel import nesting

# Libraries that the kernel uses too. An exception in them could close its connection to the browser.
_SHARED = tuple(os.path.dirname(library.__file__) + os.sep for library in (asyncio, playwright))


class _Handler:
    """The function that Python calls instead of a handler of the user."""

    def __init__(self, function, cell, signals):
        self.function = function
        self.cell = cell  # the number of the cell that installed it
        self._signals = signals

    def __call__(self, number, frame):
        exits = self._signals.exits
        before, exits.handler_cell = exits.handler_cell, self.cell
        try:
            self.function(number, frame)
        except BaseException as error:
            if not self._signals.takes(error, self, frame):
                raise
        finally:
            exits.handler_cell = before


class Signals:
    def __init__(self, names, exits, report):
        """`names` is the user's namespace. `report(error)` prints an error that no code can get."""
        self._names = names
        self.exits = exits
        self._report = report
        self._install()

    def _install(self):
        install, current = signal.signal, signal.getsignal
        wrap = self._wrap

        @functools.wraps(install)
        def install_handler(signalnum, handler):
            return _unwrapped(install(signalnum, wrap(handler)))

        @functools.wraps(current)
        def current_handler(signalnum):
            return _unwrapped(current(signalnum))

        signal.signal, signal.getsignal = install_handler, current_handler
        # The handler of SIGINT, which raises KeyboardInterrupt, exists already.
        if current(signal.SIGINT) is signal.default_int_handler:
            install_handler(signal.SIGINT, signal.default_int_handler)

    def _wrap(self, handler):
        return _Handler(handler, self.exits.cell, self) if callable(handler) else handler

    def takes(self, error, handler, frame):
        """Returns whether an error must not be raised where `handler` interrupted `frame`.

        Then the current cell gets it where it waits. Between calls, it is reported.
        """
        if isinstance(error, SystemExit):
            self.exits.disown(error, handler.cell)
        if self._is_interruptible(frame):
            return False
        if not self.exits.interrupt(error, self._report):
            self._report(error)
        return True

    def _is_interruptible(self, frame):
        """Returns whether `frame` runs code of the user, and no library that a task shares with it."""
        while frame is not None:
            if frame.f_globals is self._names:
                return True
            if frame.f_code.co_filename.startswith(_SHARED):
                return False
            frame = frame.f_back
        return nesting.is_in_cell()


def _unwrapped(handler):
    return handler.function if isinstance(handler, _Handler) else handler
