"""Compiles and runs cells in the user's namespace, which is the module `__main__`.

Supports top-level await. The value of a cell is the value of its last statement if that is an
expression. Independent of frames and the browser.
"""

import __future__
import ast
import builtins
import collections
import inspect
import linecache
import sys
import types

# Tracebacks and inspect.getsource need the source of older cells, because their functions may still
# be in use.
KEPT_SOURCES = 200

_FUTURES = [getattr(__future__, name).compiler_flag for name in __future__.all_feature_names]
_compile = compile
_eval = eval
_cache = linecache.cache


class Cells:
    def __init__(self):
        module = types.ModuleType("__main__")
        module.__builtins__ = builtins
        sys.modules["__main__"] = module
        self._module = module
        self.names = module.__dict__
        self._flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._sources = collections.deque()

    async def run(self, source, name):
        """Runs `source`, named `name` in tracebacks, and returns its value.

        Raises the exceptions of the cell.
        """
        self._remember(source, name)
        body, value = self._compiled(source, name)
        await self._evaluate(body)
        return None if value is None else await self._evaluate(value)

    async def _evaluate(self, code):
        result = _eval(code, self.names)
        return await result if code.co_flags & inspect.CO_COROUTINE else result

    def _compiled(self, source, name):
        tree = _compile(source, name, "exec", self._flags | ast.PyCF_ONLY_AST, dont_inherit=True)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        body = _compile(tree, name, "exec", self._flags, dont_inherit=True)
        # As in a REPL, `from __future__ import …` also applies to later cells.
        self._flags |= sum(flag for flag in _FUTURES if body.co_flags & flag and not self._flags & flag)
        value = last and _compile(ast.Expression(last.value), name, "eval", self._flags, dont_inherit=True)
        return body, value

    def _remember(self, source, name):
        # Without a modification time, linecache never looks for a file of this name.
        _cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        self._sources.append(name)
        if len(self._sources) > KEPT_SOURCES:
            _cache.pop(self._sources.popleft(), None)
