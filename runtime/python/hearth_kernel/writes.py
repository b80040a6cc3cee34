"""Recognizes a last expression whose value is the status of a write, and not a result."""

import ast
import os
import subprocess
import types

_COMMANDS = (os.system, subprocess.call, subprocess.check_call)


def is_write(node, value, names):
    """Returns whether `value` is what a write or a command that printed something returned.

    `node` is the expression and `names` the namespace in which it was evaluated.
    """
    if isinstance(node, ast.Await):
        node = node.value
    if not isinstance(node, ast.Call) or type(value) is not int:
        return False
    function = node.func
    if isinstance(function, ast.Attribute) and function.attr == "write":
        return True
    return _resolved(function, names) in _COMMANDS


def _resolved(node, names):
    """Returns the function that a name, or a name in a module, stands for."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        module = _resolved(node.value, names)
        if isinstance(module, types.ModuleType):
            return getattr(module, node.attr, None)
    return None
