"""Ends Playwright's default timeouts before the deadline of a cell.

Code then gets a TimeoutError that names its call, instead of being killed. The settings of the user
are read and never changed. Independent of frames and of the calls that are pending.
"""

import time

# Time that default timeouts leave to a cell. A short cell keeps half of its time.
RESERVE_MS = 1000
# The minimum of a shortened timeout, with which quick calls still succeed.
MIN_TIMEOUT_MS = 500
# Times before the deadline at which the cell is reported. The last report counts.
REPORTS_MS = (500, 100)
# The default of expect(), which Playwright's settings of timeouts do not contain.
EXPECT_TIMEOUT_MS = 5000

_monotonic = time.monotonic


def _now_ms():
    return _monotonic() * 1000


class Deadline:
    def __init__(self, loop):
        self._loop = loop
        self._end_at = None  # the deadline of the cell that runs
        self._shorten_at = None  # the end of default timeouts while a cell runs
        self._timers = []

    def begin(self, left_ms, report):
        """Starts a cell that is killed in `left_ms`. Calls `report` shortly before."""
        self._end_at = _now_ms() + left_ms
        self._shorten_at = self._end_at - min(RESERVE_MS, left_ms / 2)
        self._timers = [self._loop.call_later(max(0, left_ms - before) / 1000, report) for before in REPORTS_MS]

    def end(self):
        """Ends the cell. Between cells, default timeouts are not shortened."""
        self._shorten_at = None
        for timer in self._timers:
            timer.cancel()
        self._timers = []

    def install(self):
        """Shortens the default timeouts of both of Playwright's APIs."""
        from playwright._impl.assertions import AssertionsBase
        from playwright._impl.timeout_settings import TimeoutSettings

        for name in ("_timeout", "_navigation_timeout"):
            setattr(TimeoutSettings, name, self._shortening(getattr(TimeoutSettings, name)))
        expect = AssertionsBase._expect_impl

        def expect_in_time(own, expression, options, *args, **named):
            if options.get("timeout") is None:
                options["timeout"] = self._shorten(own._timeout or EXPECT_TIMEOUT_MS)
            return expect(own, expression, options, *args, **named)

        AssertionsBase._expect_impl = expect_in_time

    def _shortening(self, original):
        def shortened(own, timeout):
            is_explicit = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
            default = original(own, timeout)
            return default if is_explicit else self._shorten(default)

        return shortened

    def _shorten(self, timeout):
        if self._shorten_at is None:
            return timeout
        # Close to the deadline, the minimum is half of the remaining time.
        minimum = min(MIN_TIMEOUT_MS, (self._end_at - _now_ms()) / 2)
        left = max(1, round(max(minimum, self._shorten_at - _now_ms())))
        # A timeout of 0 never ends.
        return timeout if 0 < timeout < left else left
