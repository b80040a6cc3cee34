"""Formats exceptions: one line for `error` in the response, and the traceback for stderr.

Hides the kernel's frames.

Independent of protocol frames and of Playwright's classes, except for the "Call log:" part at the
end of Playwright's messages.
"""

import os
import re
import traceback
import warnings

_DIR = os.path.dirname(os.path.abspath(__file__)) + os.sep
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def error_line(error):
    """Returns `Name: message`, or only the name if the message is empty."""
    name = type(error).__name__
    try:
        message = str(error)
    except BaseException:
        message = "<the exception's str() failed>"
    message = _ANSI.sub("", message.partition("\nCall log:")[0]).rstrip()
    return f"{name}: {message}" if message else name


def trace_of(error):
    """Returns the traceback as python prints it."""
    try:
        whole = traceback.TracebackException(type(error), error, error.__traceback__)
        _hide(whole, set())
        # A syntax error has no stack frames of the cell.
        lines = whole.format() if whole.stack or _has_context(whole) else whole.format_exception_only()
        return _ANSI.sub("", "".join(lines))
    except BaseException:
        return f"{error_line(error)}\n"


def _has_context(whole):
    return whole.__cause__ is not None or (whole.__context__ is not None and not whole.__suppress_context__)


def _hide(part, seen):
    if part is None or id(part) in seen:
        return
    seen.add(id(part))
    part.stack[:] = [frame for frame in part.stack if not frame.filename.startswith(_DIR)]
    for other in (part.__cause__, part.__context__, *(part.exceptions or ())):
        _hide(other, seen)


def hide_kernel_lines():
    """Removes the kernel's lines from warnings.

    One example is the warning about a forgotten await, which appears when the kernel drops the
    value.
    """
    before = warnings.formatwarning

    def formatted(message, category, filename, lineno, line=None):
        if filename.startswith(_DIR):
            return f"{category.__name__}: {message}\n"
        return before(message, category, filename, lineno, line)

    warnings.formatwarning = formatted
