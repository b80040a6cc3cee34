"""Calls the functions that code passes to `atexit.register` when `sys.exit()` ends a call.

The process outlives the code, so the functions that libraries register wait for its end.
"""

import atexit
import functools
import sys

from hearth_kernel import errors, nesting


class ExitFunctions:
    def __init__(self, names, write_error):
        """`names` is the user's namespace."""
        self._names = names
        self._write_error = write_error
        self._functions = []
        self._register, self._unregister = atexit.register, atexit.unregister
        atexit.register, atexit.unregister = self._register_in_cell, self._unregister_in_cell

    def _register_in_cell(self, function, /, *args, **kwargs):
        if sys._getframe(1).f_globals is not self._names:
            return self._register(function, *args, **kwargs)
        self._functions.append(functools.partial(function, *args, **kwargs))
        return function

    def _unregister_in_cell(self, function, /):
        self._functions = [each for each in self._functions if each.func != function]
        self._unregister(function)

    async def run(self):
        """Calls the functions once, the last one first."""
        while self._functions:
            function = self._functions.pop()
            try:
                await nesting.run_as_cell(function)
            except BaseException as error:
                self._write_error(f"Exception ignored in atexit callback {function.func!r}:\n{errors.trace_of(error)}")
