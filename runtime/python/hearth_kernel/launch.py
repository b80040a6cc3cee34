"""Connects browsers that user code launches to the session's browser.

A session has one browser and cannot start another. Closing such a browser only closes its
connection. Also makes Playwright's synchronous API usable in cells, although the loop is running.

Independent of frames and cells. Relies on internals of the pinned wheel: the functions in which its
synchronous API waits, and its client.
"""

import importlib.machinery
import re
import sys
import urllib.parse

from greenlet import getcurrent

from hearth_kernel import nesting

_WHY = (
    "The session has one browser, which is Chromium: use chromium.launch(), "
    "or the variables browser, context and page"
)
_NO_VIDEO = "record_video_dir needs ffmpeg, which the session does not have. Use page.screenshot() or context.tracing"
_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1|0\.0\.0\.0")
# Options about a process, or without an effect on a browser that runs.
_PROCESS_OPTIONS = {
    "accept_downloads", "args", "artifacts_dir", "channel", "chromium_sandbox", "devtools", "downloads_path", "env",
    "executable_path", "firefox_user_prefs", "handle_sighup", "handle_sigint", "handle_sigterm", "headless",
    "ignore_default_args", "slow_mo", "timeout", "traces_dir",
}  # fmt: skip


def when_imported(name, action):
    """Calls `action` after the first import of the module `name`, which takes long to load."""

    class Finder:
        @staticmethod
        def find_spec(found, path=None, target=None):
            if found != name:
                return None
            sys.meta_path.remove(Finder)
            spec = importlib.machinery.PathFinder.find_spec(found, path, target)
            if spec is not None:
                load = spec.loader.exec_module

                def exec_module(module):
                    load(module)
                    action()

                spec.loader.exec_module = exec_module
            return spec

    sys.meta_path.insert(0, Finder)


class SharedBrowser:
    """The address of the session's browser, and the methods that replace launches."""

    def __init__(self, artifacts, report):
        """`artifacts` is the directory for Playwright's files. `report` writes to stderr."""
        from playwright import async_api

        self.endpoint = None
        self._artifacts = artifacts
        self._report = report
        self._connect = async_api.BrowserType.connect_over_cdp
        self._patch(async_api.BrowserType, is_async=True)
        _refuse_video()

    def connect(self, chromium, **options):
        """Connects Playwright's async API to the session's browser."""
        return self._connect(chromium, self.endpoint, artifacts_dir=self._artifacts, **options)

    def share_sync_api(self, loop, hub):
        """Replaces the launches of the synchronous API. `hub` is the greenlet that runs `loop`."""
        from playwright.sync_api import BrowserType

        self._patch(BrowserType, is_async=False)
        _run_sync_api_on(loop, hub)

    def _patch(self, browser_type, is_async):
        shared = self
        connect, connect_over_cdp = browser_type.connect, browser_type.connect_over_cdp

        def to_session(own, options):
            kept = {name: options[name] for name in ("slow_mo", "timeout", "headers") if options.get(name) is not None}
            return connect_over_cdp(own, shared.endpoint, artifacts_dir=shared._artifacts, **kept)

        def launch(own, **options):
            shared._check(own, "launch", options)
            return to_session(own, options)

        def launch_persistent_context(own, user_data_dir=None, **options):
            shared._check(own, "launch_persistent_context", options)
            return to_session(own, options).contexts[0]

        async def launch_async(own, **options):
            return await launch(own, **options)

        async def launch_persistent_context_async(own, user_data_dir=None, **options):
            shared._check(own, "launch_persistent_context", options)
            return (await to_session(own, options)).contexts[0]

        def over_cdp(own, endpoint_url=None, **options):
            if shared._is_session_address(endpoint_url):
                return to_session(own, options)
            return connect_over_cdp(own, endpoint_url, **options)

        def connect_server(own, endpoint=None, **options):
            endpoint = endpoint or options.pop("ws_endpoint", None)
            if shared._is_session_address(endpoint):
                return to_session(own, options)
            return connect(own, endpoint, **options)

        browser_type.launch = launch_async if is_async else launch
        browser_type.launch_persistent_context = (
            launch_persistent_context_async if is_async else launch_persistent_context
        )
        browser_type.connect_over_cdp = over_cdp
        browser_type.connect = connect_server

    def _is_session_address(self, address):
        """Returns whether `address` stands for the session's browser.

        Scripts connect to a debugging port of their machine, to `os.environ.get("CDP_URL")`, or to
        the `cdpUrl` of the session, which sandboxed code cannot reach.
        """
        if not address:
            return True
        try:
            url = urllib.parse.urlsplit(str(address))
            own = urllib.parse.urlsplit(self.endpoint)
            return bool(_LOOPBACK.fullmatch(url.hostname or "")) or url.path.startswith(own.path)
        except ValueError:
            return False

    def _check(self, own, method, options):
        if own.name != "chromium":
            from playwright.async_api import Error

            raise Error(f"BrowserType.{method}: {own.name} is not available. {_WHY}")
        ignored = [name for name, value in options.items() if value is not None and name not in _PROCESS_OPTIONS]
        if ignored:
            names = ", ".join(ignored)
            self._report(f"chromium.{method}() connected to the session's browser, without the options {names}\n")


def _refuse_video():
    """Makes new contexts with a video fail. Playwright would suggest a command that does not work."""
    from playwright._impl import browser
    from playwright._impl._errors import Error

    prepare = browser.prepare_browser_context_params

    async def prepare_without_video(options):
        if options.get("record_video_dir") is not None:
            raise Error(_NO_VIDEO)
        return await prepare(options)

    browser.prepare_browser_context_params = prepare_without_video


def _run_sync_api_on(loop, hub):
    """Makes the synchronous API use the kernel's loop when a cell starts it.

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
            nesting.wait_for(nesting.wait_until_done(future))
        elif getcurrent() is hub:
            future.cancel()
            raise Error("Playwright's synchronous API cannot wait in a task or a callback of the event loop")
        else:
            wait(waited_loop, fiber, future)

    manager.__enter__, manager.__exit__ = enter_in_cell, leave_in_cell
    manager.start = enter_in_cell
    _sync_base.wait_for_future = wait_in_cell
