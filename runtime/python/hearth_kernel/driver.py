"""Playwright's driver process, started before Playwright's library is imported: the two take as long, on two cores.

Knows two internals of the pinned wheel: how it finds its driver, and that out_of_process starts a PipeTransport.
"""

import asyncio

from playwright._impl._driver import compute_driver_executable, get_driver_env

PIPE_BYTES = 32768
FD_STDERR = 2


def begin():
    """Starts the driver. Returns the future of its process; needs the running loop."""
    executable, entry = compute_driver_executable()
    return asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            executable,
            entry,
            "run-driver",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=FD_STDERR,
            limit=PIPE_BYTES,
            env=get_driver_env(),
        )
    )


async def start(process=None):
    """Starts Playwright's async API, on the driver `process` that was begun earlier or on one of its own."""
    from playwright._impl import out_of_process
    from playwright.async_api import async_playwright

    if process is None:
        return await async_playwright().start()

    class Begun(out_of_process.PipeTransport):
        async def connect(self):
            self._stopped_future = asyncio.Future()
            try:
                self._proc = await process
            except Exception as error:
                self.on_error_future.set_exception(error)
                raise
            self._output = self._proc.stdin

    original = out_of_process.PipeTransport
    out_of_process.PipeTransport = Begun
    try:
        return await async_playwright().start()
    finally:
        out_of_process.PipeTransport = original
