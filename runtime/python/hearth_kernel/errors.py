"""Formats exceptions: one line for `error` in the response, and the traceback for stderr.

Hides the kernel's frames.

Independent of protocol frames and of Playwright's classes, except for the "Call log:" part at the
end of Playwright's messages.
"""

import os
import re
import sys
import threading
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
        # A syntax error has no stack frames of the cell.
        lines = whole.format() if whole.stack or _has_context(whole) else whole.format_exception_only()
        return _ANSI.sub("", "".join(lines))
    except BaseException:
        return f"{error_line(error)}\n"


def _has_context(whole):
    return whole.__cause__ is not None or (whole.__context__ is not None and not whole.__suppress_context__)


def hide_kernel():
    """Removes the kernel's frames from all stacks that Python code formats, and its lines from
    warnings.

    One example is the warning about a forgotten await, which appears when the kernel drops the
    value.
    """
    _hide_frames()
    threading.excepthook = _report_thread
    before = warnings.formatwarning

    def formatted(message, category, filename, lineno, line=None):
        if filename.startswith(_DIR):
            return f"{category.__name__}: {message}\n"
        return before(message, category, filename, lineno, line)

    warnings.formatwarning = formatted


def _hide_frames():
    # All functions of the module `traceback` call this one.
    extract = traceback.StackSummary._extract_from_extended_frame_gen.__func__

    def extract_visible(summary, frames, **options):
        visible = (each for each in frames if not each[0].f_code.co_filename.startswith(_DIR))
        return extract(summary, visible, **options)

    traceback.StackSummary._extract_from_extended_frame_gen = classmethod(extract_visible)


def _report_thread(failure):
    """Reports an exception that ended a thread. The interpreter would show the kernel's frames."""
    if failure.exc_type is SystemExit or sys.stderr is None:
        return
    name = failure.thread.name if failure.thread is not None else threading.get_ident()
    trace = traceback.format_exception(failure.exc_type, failure.exc_value, failure.exc_traceback)
    sys.stderr.write(f"Exception in thread {name}:\n{''.join(trace)}")
