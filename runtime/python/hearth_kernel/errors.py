"""How an exception is told: one line for the answer's `error`, the traceback for stderr, without the kernel's frames.

Must not know frames or Playwright's classes (only that its messages end in a "Call log:" part).
"""

import os
import re
import traceback
import warnings

_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def error_line(error):
    """`Name: message`, or the name alone."""
    name = type(error).__name__
    try:
        message = str(error)
    except BaseException:
        message = "<the exception's str() failed>"
    message = _ANSI.sub("", message.partition("\nCall log:")[0]).rstrip()
    return f"{name}: {message}" if message else name


def trace_of(error):
    """The traceback as python prints it."""
    try:
        whole = traceback.TracebackException(type(error), error, error.__traceback__)
        _hide(whole, set())
        # A cell that does not compile has no frames of its own.
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
    part.stack[:] = [frame for frame in part.stack if not frame.filename.startswith(_FOLDER)]
    for other in (part.__cause__, part.__context__, *(part.exceptions or ())):
        _hide(other, seen)


def hide_kernel_lines():
    """A forgotten await is noticed when the kernel drops the value: the warning must not name a line of ours."""
    before = warnings.formatwarning

    def formatted(message, category, filename, lineno, line=None):
        if filename.startswith(_FOLDER):
            return f"{category.__name__}: {message}\n"
        return before(message, category, filename, lineno, line)

    warnings.formatwarning = formatted
