"""Lets synchronous code of a cell wait for the event loop, which is running.

A cell runs in a greenlet. Code that waits switches to the greenlet of the loop, which continues with
other tasks until the result exists. Scripts therefore may call `asyncio.run(main())`,
`loop.run_until_complete(…)` and Playwright's synchronous API.

Independent of frames and the browser.
"""

import asyncio
import functools
import inspect

from greenlet import getcurrent, greenlet


class _Cell(greenlet):
    """The greenlet of a cell. Its parent drives it."""


# An error that a cell must get where it waits, instead of what it waits for.
_interruption = None


class _Passed:
    """Awaits what a coroutine of the cell waits for, which is a future or None."""

    def __init__(self, waited):
        self._waited = waited

    def __await__(self):
        return (yield self._waited)


def is_in_cell():
    """Returns whether the caller is code that a cell called, rather than a task or a thread."""
    return type(getcurrent()) is _Cell


def wait_for(awaitable):
    """Waits for `awaitable` in synchronous code of a cell, and returns its result."""
    return getcurrent().parent.switch(awaitable)


async def wait_until_done(future):
    """Waits until `future` is done, without raising its exception."""
    done = asyncio.get_running_loop().create_future()

    def wake(_):
        if not done.done():
            done.set_result(None)

    future.add_done_callback(wake)
    try:
        await done
    finally:
        future.remove_done_callback(wake)


def interrupt(task, error):
    """Raises `error` in the cell that `task` runs and that waits. Cancels what the cell waits for.

    Returns whether the cell gets it: it can get only one at a time.
    """
    global _interruption
    if _interruption is not None:
        return False
    _interruption = error
    task.cancel()
    return True


def _take_interruption():
    global _interruption
    taken, _interruption = _interruption, None
    if taken is not None:
        asyncio.current_task().uncancel()
    return taken


async def run_as_cell(function):
    """Calls `function` in the greenlet of a new cell and returns its result.

    If the result is a coroutine, it runs in that greenlet too.
    """
    driver = getcurrent()
    cell = _Cell(lambda: _complete(function()), driver)
    # Context variables that the cell sets are those of the task that drives it.
    cell.gr_context = driver.gr_context
    waited = cell.switch()
    value = error = None
    try:
        while not cell.dead:
            try:
                value, error = await waited, None
            except BaseException as raised:
                error = raised
            # What the cell waits for may have ended in spite of its cancellation.
            error = _take_interruption() or error
            if error is None:
                waited = cell.switch(value)
            else:
                waited = cell.throw(type(error), error, error.__traceback__)
    finally:
        value = error = None  # its traceback refers to this frame
    return waited


def _complete(result):
    if not inspect.iscoroutine(result):
        return result
    step, value = result.send, None
    while True:
        try:
            waited = step(value)
        except StopIteration as ended:
            return ended.value
        try:
            step, value = result.send, wait_for(_Passed(waited))
        except BaseException as error:
            step, value = result.throw, error


class KernelLoop(asyncio.SelectorEventLoop):
    """The kernel's event loop.

    A cell may run coroutines on it, and may neither close it nor shut down what belongs to it.
    """

    _forever = None  # the future that ends the run_forever() of a cell

    def run_until_complete(self, future):
        if not is_in_cell():
            return super().run_until_complete(future)
        return wait_for(future if inspect.isawaitable(future) else asyncio.ensure_future(future))

    def run_forever(self):
        if not is_in_cell():
            return super().run_forever()
        self._forever = self.create_future()
        try:
            wait_for(self._forever)
        finally:
            self._forever = None

    def stop(self):
        if self._forever is None:
            super().stop()
        elif not self._forever.done():
            self._forever.set_result(None)

    def close(self):
        if not self.is_running():
            super().close()

    async def shutdown_asyncgens(self):
        pass

    async def shutdown_default_executor(self, timeout=None):
        pass


def install(loop):
    """Makes asyncio's functions that run an event loop use `loop` in cells."""
    run, new_event_loop = asyncio.run, asyncio.new_event_loop
    runner = asyncio.Runner
    runner_init, runner_run, runner_close = runner._lazy_init, runner.run, runner.close

    @functools.wraps(run)
    def run_in_cell(main, **options):
        if not is_in_cell():
            return run(main, **options)
        if not inspect.isawaitable(main):
            raise ValueError(f"a coroutine was expected, got {main!r}")
        return wait_for(main)

    @functools.wraps(new_event_loop)
    def loop_in_cell():
        return loop if is_in_cell() else new_event_loop()

    def init(self):
        if is_in_cell():
            self._loop = loop
        else:
            runner_init(self)

    def run_runner(self, coro, **options):
        return wait_for(coro) if is_in_cell() else runner_run(self, coro, **options)

    def close(self):
        if self._loop is not loop:
            runner_close(self)

    asyncio.run = asyncio.runners.run = run_in_cell
    asyncio.new_event_loop = asyncio.events.new_event_loop = loop_in_cell
    runner._lazy_init, runner.run, runner.close = init, run_runner, close
