"""Makes Playwright's synchronous API usable in cells, although the loop is running.

Relies on internals of the pinned wheel: the functions in which its synchronous API waits, and its
client.
"""

from greenlet import getcurrent

from hearth_kernel import nesting


def run_on(loop, hub):
    """Makes the synchronous API use the kernel's loop when a cell starts it. `hub` is the greenlet
    that runs `loop`.

    Its calls wait like asyncio.run() in a cell. Its listeners run in greenlets of their own, and
    switch to the hub when they wait.
    """
    from playwright._impl import _sync_base
    from playwright._impl._errors import Error
    from playwright._impl.out_of_process import PlaywrightClient
    from playwright.sync_api import _context_manager
    from playwright.sync_api._generated import Playwright

    manager = _context_manager.PlaywrightContextManager
    enter, leave, wait = manager.__enter__, manager.__exit__, _sync_base.wait_for_future

    async def begin(own):
        own._client = PlaywrightClient(hub)
        return await own._client._playwright

    def enter_in_cell(own):
        if not nesting.is_in_cell():
            return enter(own)
        own._loop, own._dispatcher_fiber = loop, hub
        own._playwright = Playwright(nesting.wait_for(begin(own)))
        own._playwright.stop = own.__exit__
        return own._playwright

    def leave_in_cell(own, *args):
        if getattr(own, "_dispatcher_fiber", None) is not hub or not nesting.is_in_cell():
            return leave(own, *args)
        if not own._exit_was_called:
            own._exit_was_called = True
            nesting.wait_for(own._client.stop())

    def wait_in_cell(waited_loop, fiber, future):
        if fiber is not hub:
            wait(waited_loop, fiber, future)
        elif nesting.is_in_cell():
            try:
                nesting.wait_for(nesting.wait_until_done(future))
            except BaseException:
                future.cancel()
                raise
        elif getcurrent() is hub:
            future.cancel()
            raise Error("Playwright's synchronous API cannot wait in a task or a callback of the event loop")
        else:
            wait(waited_loop, fiber, future)

    manager.__enter__, manager.__exit__ = enter_in_cell, leave_in_cell
    manager.start = enter_in_cell
    _sync_base.wait_for_future = wait_in_cell
