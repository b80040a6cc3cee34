"""Starts Playwright's driver process before Playwright's library is imported.

The start and the import take equally long and run in parallel. Relies on two internals of the
pinned wheel: the lookup of its driver, and that out_of_process starts a PipeTransport.
"""

import asyncio

from playwright._impl._driver import compute_driver_executable, get_driver_env

PIPE_BYTES = 32768
FD_STDERR = 2


def begin(compile_cache=None):
    """Starts the driver and returns a future of its process. The loop must be running.

    The driver, but no program of the session, loads from the directory `compile_cache`.
    """
    executable, entry = compute_driver_executable()
    environment = get_driver_env()
    if compile_cache is not None:
        environment.pop("NODE_DISABLE_COMPILE_CACHE", None)
        environment["NODE_COMPILE_CACHE"] = compile_cache
    return asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            executable,
            entry,
            "run-driver",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=FD_STDERR,
            limit=PIPE_BYTES,
            env=environment,
        )
    )


async def start(process=None):
    """Starts Playwright's async API.

    Uses the driver `process` that `begin` returned, or starts a new driver.
    """
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
