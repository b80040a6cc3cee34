"""Handles frames in a loop and ends the process.

    runner → kernel   {"op":"attach","endpoint","warm_up"}   {"op":"run","id","endpoint","code","target","limit","left_ms"}
    kernel → runner   {"op":"ready"}   {"op":"connected"}   {"op":"started","id"}   {"op":"done","id","value","error","exit","truncated","leaving"}   {"op":"failed","id","message"}
                      {"op":"pending","id","calls"} shortly before the deadline

All output of a cell is written to fds 1 and 2 before `done` is sent.
"""

import asyncio
import contextvars
import importlib
import os
import sys

from greenlet import getcurrent

from hearth_kernel import cells, channel, driver, errors, exits, language_hint, launch, nesting, streams, sync_api, values
from hearth_kernel.binding import Binding, Unusable
from hearth_kernel.cells import Cells, ParseFailure
from hearth_kernel.deadline import Deadline
from hearth_kernel.exit_functions import ExitFunctions
from hearth_kernel.pending import PendingCalls
from hearth_kernel.signals import Signals

DEFAULT_LIMIT_BYTES = 10 << 20
# Code that uses what most code uses, so that the first run of a client is fast. It leaves nothing
# behind.
WARM_UP = "await page.title()"

_getpid = os.getpid
_exit = os._exit
_Task = asyncio.Task


class Kernel:
    def __init__(self, loop):
        self._loop = loop
        self._pid = _getpid()
        self.write_error, self._flush = streams.install()
        errors.hide_kernel()
        self._waiting = []
        self._binding = None
        # All cells share one context, so that settings such as decimal's precision last.
        self._context = contextvars.copy_context()
        self._channel = channel.Channel(loop, self._on_frame)
        self._cells = None
        self._exit_functions = None
        self._task = None
        self._deadline = Deadline(loop)
        self._pending = PendingCalls()
        self._report = None  # the task of the last report
        self.exits = exits.Exits(self.write_error, self._announce_exit)
        self._id = None  # of the current or the last cell

    async def prepare(self):
        """Loads Playwright and reports that the kernel is ready."""
        process = driver.begin(*sys.argv[2:])
        # Yield once so that the driver starts, because the import blocks this thread.
        await asyncio.sleep(0)
        playwright = await driver.start(process)
        self._cells = Cells()
        self._exit_functions = ExitFunctions(self._cells.names, self.write_error)
        Signals(self._cells.names, self.exits, self._report_handler)
        shared = launch.SharedBrowser(self.write_error)
        shared.share_async_api()
        loop, hub = self._loop, getcurrent()

        def share_sync_api():
            shared.share_sync_api()
            sync_api.run_on(loop, hub)

        launch.when_imported("playwright.sync_api", share_sync_api)
        launch.when_imported("multiprocessing.spawn", cells.let_processes_start_without_file)
        self._deadline.install()
        self.exits.follow_listeners()
        self._pending.install()
        self._binding = Binding(self._cells.names, playwright, shared)
        self._open_paths()
        self._channel.send({"op": "ready"})
        for frame in self._waiting:
            self._serve(frame)
        self._waiting.clear()

    @staticmethod
    def _open_paths():
        # The kernel has imported all its modules by now. The session's files come first on the path,
        # and its packages before those of the toolchain.
        environment = sys.argv[1]
        packages = os.path.join(environment, "lib", "python%d.%d" % sys.version_info[:2], "site-packages")
        names = [os.path.basename(path) for path in sys.path]
        sys.path.insert(names.index("site-packages"), packages)
        sys.path.insert(0, "")
        # Python processes that code starts use the session's environment, and so does pip.
        sys.executable = os.path.join(environment, "bin", "python3")
        sys.prefix = sys.exec_prefix = environment
        sys.argv[:] = [""]

    def _on_frame(self, frame):
        if self._binding is None:
            self._waiting.append(frame)
        else:
            self._serve(frame)

    def _serve(self, frame):
        if frame["op"] == "attach":
            connecting = self._binding.attach(frame["endpoint"])
            if frame["warm_up"]:
                self._task = _Task(self._warm_up(connecting), loop=self._loop, context=self._context)
        elif frame["op"] == "run":
            # Created directly, because the user may have set a task factory.
            self._task = _Task(self._guarded(frame), loop=self._loop, context=self._context)

    async def _warm_up(self, connecting):
        # A kernel that should be warm is not used after a failure.
        try:
            await connecting
            await self._binding.renew(None)
            await self._cells.run(WARM_UP, "hearth.py")
        except Exception:
            _exit(channel.EXIT_BROKEN)
        self._cells.remove_source("hearth.py")
        self._channel.send({"op": "connected"})

    async def _guarded(self, frame):
        try:
            await self._run(frame)
        except BaseException as error:
            # Exit on an internal error. Otherwise the runner would wait; it replaces a kernel that
            # has exited.
            self.write_error(errors.trace_of(error))
            _exit(channel.EXIT_BROKEN)

    async def _run(self, frame):
        self._binding.rename(frame["endpoint"])
        self._deadline.begin(frame["left_ms"], lambda: self._report_pending(frame["id"]))
        try:
            await self._run_cell(frame)
        finally:
            self._deadline.end()

    def _report_pending(self, id_):
        self._report = _Task(self._send_pending(id_), loop=self._loop)

    async def _send_pending(self, id_):
        calls = await self._pending.describe(self._binding.connection)
        self._channel.send({"op": "pending", "id": id_, "calls": values.well_formed(calls)})

    async def _run_cell(self, frame):
        id_, limit = frame["id"], frame.get("limit", DEFAULT_LIMIT_BYTES)
        if not self._binding.is_fresh():
            try:
                await self._binding.renew(frame.get("target"))
            except Unusable as error:
                self._channel.send({"op": "failed", "id": id_, "message": values.well_formed(str(error))})
                return
        # pip may have installed packages into a directory whose listing is cached.
        importlib.invalidate_caches()
        # Show warnings that are raised in this module once per cell.
        globals().pop("__warningregistry__", None)
        self._channel.send({"op": "started", "id": id_})
        self._id = id_
        self.exits.begin(id_)
        value, error, exit_code, ended_by = await self._evaluate(frame["code"], f"execute-{id_}.py")
        self._flush()
        if _getpid() != self._pid:
            _exit(exit_code)  # a child process that the cell forked
        self.exits.end(ended_by)
        value, is_value_cut = values.bound(value, limit)
        error, is_error_cut = values.bound(error, limit)
        truncated = is_value_cut or is_error_cut
        self._channel.listen()
        self._done(id_, exit_code, value, error, truncated)

    def _announce_exit(self, exit_code):
        self._done(self._id, exit_code, leaving=True)

    def _done(self, id_, exit_code, value=None, error=None, truncated=False, leaving=False):
        self._channel.send(
            {"op": "done", "id": id_, "value": value, "error": error, "exit": exit_code, "truncated": truncated}
            | {"leaving": leaving}
        )

    async def _evaluate(self, code, name):
        """Returns the value, the error, the exit code and the SystemExit of a cell."""
        # Unlike a file, a string may not start with a byte-order mark.
        code = code.removeprefix("\ufeff")
        value = thrown = None
        try:
            value = values.text_of(await self._cells.run(code, name))
        except BaseException as error:
            thrown = error
        try:
            leaving = self.exits.settle()
            if leaving is None and isinstance(thrown, SystemExit):
                leaving = thrown
            elif leaving is not None and isinstance(thrown, (asyncio.CancelledError, SystemExit)):
                thrown = leaving
            error = None
            if isinstance(thrown, ParseFailure):
                error = self._print_failure(thrown.__cause__, language_hint.language_hint(code))
            elif thrown is not None and thrown is not leaving:
                error = self._print_failure(thrown, language_hint.runtime_hint(code, thrown))
            if leaving is not None:
                await self._exit_functions.run()
                return None, None, exits.code_of(leaving, self.write_error), leaving
            return value, error, 0 if thrown is None else 1, None
        finally:
            thrown = leaving = None  # its traceback refers to this frame

    def _print_failure(self, thrown, hint):
        """Prints the traceback of an error, with a hint or None. Returns the error as one line."""
        trace, line = errors.trace_of(thrown), errors.error_line(thrown)
        if hint is not None:
            trace = trace.rstrip("\n") + f" {hint}\n"
            line += f" {hint}"
        self.write_error(trace)
        return line

    def _report_handler(self, error):
        """Prints an exception of a signal handler that no code of a cell can get."""
        if isinstance(error, SystemExit):
            self.exits.report_ignored(error, "a signal handler called it between calls")
        else:
            self.write_error(f"Exception in a signal handler\n{errors.trace_of(error)}")

    def report_late(self, _loop, context):
        """Prints asyncio's report about a failed task or callback that nothing awaits."""
        error = context.get("exception")
        if isinstance(error, SystemExit):
            return
        subject = context.get("task") or context.get("future") or context.get("handle")
        text = errors.trace_of(error) if error is not None else f"{values.show(subject)}\n" if subject else ""
        self.write_error(f"{context.get('message', 'error in the event loop')}\n{text}")


def serve():
    """Runs until the runner closes fd 3. Never returns normally."""
    loop = nesting.KernelLoop()
    asyncio.set_event_loop(loop)
    nesting.install(loop)
    kernel = Kernel(loop)
    loop.set_exception_handler(kernel.report_late)
    loop.run_until_complete(kernel.prepare())
    while True:
        try:
            loop.run_forever()
        except SystemExit as leaving:
            # Raised by a task or a callback.
            kernel.exits.escaped(leaving)
        except BaseException as error:
            kernel.write_error(errors.trace_of(error))
