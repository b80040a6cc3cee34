"""Compiles and runs cells in the user's namespace, which is the module `__main__`.

Supports top-level await and return. The value of a cell is the value of its last statement if that
is an expression. Independent of frames and the browser.
"""

import __future__
import ast
import asyncio
import builtins
import collections
import inspect
import linecache
import os
import sys
import types

from hearth_kernel import nesting, returns, writes

# Tracebacks and inspect.getsource need the source of older cells, because their functions may still
# be in use.
KEPT_SOURCES = 200
SCRIPT_NAME = "execute.py"
# The variable of a value that the cell waits for. It exists only while the cell ends.
_BRANCH = "__hearth_branch__"

_FUTURES = [getattr(__future__, name).compiler_flag for name in __future__.all_feature_names]
_compile = compile
_eval = eval
_cache = linecache.cache


class ParseFailure(Exception):
    """The source does not compile. The cause is the compiler's error."""


def let_processes_start_without_file():
    """Keeps processes that multiprocessing starts from running the file of `__main__`."""
    from multiprocessing import spawn

    prepare = spawn.get_preparation_data

    def prepare_without_file(name):
        data = prepare(name)
        data.pop("init_main_from_path", None)
        return data

    spawn.get_preparation_data = prepare_without_file


async def _awaited(value):
    return await value


async def _until_ended(value):
    """Returns `value`, or the result of a coroutine or a future."""
    if inspect.iscoroutine(value) or (asyncio.isfuture(value) and not isinstance(value, asyncio.Task)):
        return await nesting.run_as_cell(lambda: _awaited(value))
    return value


def _keep_final_call(body):
    """Keeps the value of a call that ends the code in a branch, as in `if …: main()`.

    Such a call may start the code, so a coroutine that it returns is awaited. Its value is not
    the result.
    """
    last = body[-1] if body else None
    if not isinstance(last, ast.If):
        return
    for branch in (last.body, last.orelse):
        final = branch[-1] if branch else None
        if isinstance(final, ast.Expr) and isinstance(final.value, ast.Call):
            name = ast.copy_location(ast.Name(_BRANCH, ast.Store()), final)
            branch[-1] = ast.copy_location(ast.Assign([name], final.value), final)
        else:
            _keep_final_call(branch)


class Cells:
    def __init__(self):
        module = types.ModuleType("__main__")
        module.__builtins__ = builtins
        sys.modules["__main__"] = module
        self._module = module
        # Scripts look for files beside their own. No such file exists.
        module.__file__ = os.path.join(os.getcwd(), SCRIPT_NAME)
        self.names = module.__dict__
        self._flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._sources = collections.deque()
        self._last = None  # the expression whose value is the value of the cell

    async def run(self, source, name):
        """Runs `source`, named `name` in tracebacks, and returns its value.

        A coroutine or a future as its value is awaited, because a script has not ended before; a
        task is not, because it is how code starts work in the background. Raises the exceptions of
        the cell, and ParseFailure.
        """
        self._remember(source, name)
        try:
            body, last, is_function = self._compiled(source, name)
        except (SyntaxError, ValueError) as error:
            raise ParseFailure from error
        await nesting.run_as_cell(lambda: self._eval(body))
        value = None
        if is_function:
            value = await nesting.run_as_cell(returns.take_function(self.names))
        elif last is not None:
            value = await nesting.run_as_cell(lambda: self._eval(last))
            if writes.is_write(self._last, value, self.names):
                value = None
        await _until_ended(self.names.pop(_BRANCH, None))
        return await _until_ended(value)

    def _eval(self, code):
        return _eval(code, self.names)

    def _compiled(self, source, name):
        """Returns the code of the body, that of its value or None, and whether the body defines a
        function that returns the value.
        """
        tree = self._compile(source, name, "exec", ast.PyCF_ONLY_AST)
        is_function = returns.has_return(tree)
        _keep_final_call(tree.body)
        last = None
        if is_function:
            tree = returns.as_function(tree)
        elif tree.body and isinstance(tree.body[-1], ast.Expr):
            last = tree.body.pop().value
        body = self._compile(tree, name, "exec")
        # As in a REPL, `from __future__ import …` also applies to later cells.
        self._flags |= sum(flag for flag in _FUTURES if body.co_flags & flag and not self._flags & flag)
        if last is None:
            return body, None, is_function
        self._last = last
        code = self._compile(ast.Expression(last), name, "eval")
        return body, code, is_function

    def _compile(self, source, name, mode, flags=0):
        return _compile(source, name, mode, self._flags | flags, dont_inherit=True)

    def remove_source(self, name):
        """Removes the source of a cell that the kernel itself has run."""
        _cache.pop(name, None)
        self._sources.remove(name)

    def _remember(self, source, name):
        # Without a modification time, linecache never looks for a file of this name.
        _cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        self._sources.append(name)
        if len(self._sources) > KEPT_SOURCES:
            _cache.pop(self._sources.popleft(), None)
