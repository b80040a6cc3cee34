"""Describes the Playwright calls that have not ended, for the error of code that is killed.

Independent of frames and cells. Relies on internals of the pinned wheel: how its client announces
calls, and that its driver writes locators as code.
"""

import asyncio
import json
import os
import re

# The number of calls that are remembered and described.
MAX_CALLS = 100
MAX_DESCRIBED = 3
# The maximum length of the subject of a call, such as its locator.
MAX_SUBJECT_LENGTH = 200
# The time limit for the driver, which the deadline of the cell waits for.
DRIVER_LIMIT_SECONDS = 0.05


class PendingCalls:
    def __init__(self):
        self._calls = {}  # call → its parameters, in the order in which the calls began

    def install(self):
        """Follows the calls of all connections, also those of the synchronous API."""
        from playwright._impl.client_instrumentation import ClientInstrumentation

        begin, end = ClientInstrumentation.on_api_call_begin, ClientInstrumentation.on_api_call_end
        calls = self._calls

        def on_begin(own, call, channel):
            calls[call] = channel.get("params") or {}
            # A coroutine that is never awaited does not end its call.
            if len(calls) > MAX_CALLS:
                calls.pop(next(iter(calls)), None)
            begin(own, call, channel)

        def on_end(own, call):
            calls.pop(call, None)
            end(own, call)

        ClientInstrumentation.on_api_call_begin = on_begin
        ClientInstrumentation.on_api_call_end = on_end

    async def describe(self, connection):
        """Returns the calls as a text, or an empty one. The oldest is the first.

        `connection` is one to Playwright's driver.
        """
        # Calls without a name are those of the library itself.
        calls = [(call, params) for call, params in self._calls.items() if _name(call)]
        shown = [await _describe(call, params, connection) for call, params in calls[:MAX_DESCRIBED]]
        rest = len(calls) - len(shown)
        return ", ".join(shown) + (f" and {rest} more" if rest else "")


def _name(call):
    return call.api_name or call.title


async def _describe(call, params, connection):
    subject = await _subject(params, connection)
    files = ((os.path.basename(frame["file"]), frame["line"]) for frame in call.frames or ())
    place = next((f" ({file}:{line})" for file, line in files if file.startswith("execute-")), "")
    return f"{_name(call)}{f' of {subject}' if subject else ''}{place}"


async def _subject(params, connection):
    if isinstance(params.get("selector"), str):
        text = await _locator(params["selector"], connection)
    elif isinstance(params.get("event"), str):
        text = json.dumps(params["event"])
    else:
        text = str(params.get("url") or "")
    text = re.sub(r"\s+", " ", text)
    return text if len(text) <= MAX_SUBJECT_LENGTH else text[:MAX_SUBJECT_LENGTH] + "…"


async def _locator(selector, connection):
    """Returns a locator as code, in Playwright's words."""
    if "internal:" in selector:
        try:
            async with asyncio.timeout(DRIVER_LIMIT_SECONDS):
                channel = connection.local_utils()._channel
                answer = await channel.asLocatorDescription(selector=selector, sdkLanguage="python")
                return answer["description"]
        except Exception:
            pass  # the driver is busy or has exited
    return f"locator({json.dumps(selector, ensure_ascii=False)})"
