"""Connects browsers that user code launches to the session's browser.

A session has one browser and cannot start another. Closing such a browser only closes its
connection. Kernels and scripts (../scripts.py) use this module, so it imports nothing of the kernel.
"""

import asyncio
import functools
import importlib.machinery
import inspect
import os
import re
import sys
import tempfile
import urllib.parse

# The directory for Playwright's files, such as downloads. All kernels and scripts of a session share
# it, so that each of them finds the files.
ARTIFACTS = os.path.join(tempfile.gettempdir(), ".playwright")
_WHY = (
    "The session has one browser, which is Chromium: use chromium.launch(), "
    "or the variables browser, context and page"
)
# The time limit for a request to the server.
REQUEST_LIMIT_SECONDS = 10
_NO_VIDEO = "record_video_dir needs ffmpeg, which the session does not have. Use page.screenshot() or context.tracing"
_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1|0\.0\.0\.0")
# Options about a process, or without an effect on a browser that runs.
_PROCESS_OPTIONS = {
    "accept_downloads", "args", "artifacts_dir", "channel", "chromium_sandbox", "devtools", "downloads_path", "env",
    "executable_path", "firefox_user_prefs", "handle_sighup", "handle_sigint", "handle_sigterm", "headless",
    "ignore_default_args", "ignore_https_errors", "slow_mo", "timeout", "traces_dir",
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

    def __init__(self, report, endpoint=None):
        """`report` writes to stderr."""
        self.endpoint = endpoint
        self._report = report

    def share_when_imported(self):
        """Replaces the launches of Playwright's interfaces after their first import."""
        when_imported("playwright.async_api", self.share_async_api)
        when_imported("playwright.sync_api", self.share_sync_api)

    def share_async_api(self):
        """Replaces the launches of the asynchronous API."""
        from playwright.async_api import BrowserType

        self._connect = BrowserType.connect_over_cdp
        self._patch(BrowserType, is_async=True)
        _refuse_video()

    def share_sync_api(self):
        """Replaces the launches of the synchronous API."""
        from playwright.sync_api import BrowserType

        self._patch(BrowserType, is_async=False)
        _refuse_video()

    def connect(self, chromium, **options):
        """Connects Playwright's async API to the session's browser."""
        return self._connect(chromium, self.endpoint, artifacts_dir=ARTIFACTS, **options)

    def _patch(self, browser_type, is_async):
        shared = self
        connect, connect_over_cdp = browser_type.connect, browser_type.connect_over_cdp
        # Another version that the session has installed may not have the option.
        has_artifacts = "artifacts_dir" in inspect.signature(connect_over_cdp).parameters
        artifacts = {"artifacts_dir": ARTIFACTS} if has_artifacts else {}

        def to_session(own, options):
            kept = {name: options[name] for name in ("slow_mo", "timeout", "headers") if options.get(name) is not None}
            if not shared.endpoint:
                raise ValueError("the address of the browser is unknown, because CDP_URL is not set")
            os.makedirs(ARTIFACTS, exist_ok=True)
            return connect_over_cdp(own, shared.endpoint, **artifacts, **kept)

        def launch(own, **options):
            shared._check(own, "launch", options)
            if _ignores_certificates(options):
                shared._ignore_certificates()
            return to_session(own, options)

        def launch_persistent_context(own, user_data_dir=None, **options):
            shared._check(own, "launch_persistent_context", options)
            ignores = _ignores_certificates(options)
            if ignores:
                shared._ignore_certificates()
            return default_context(to_session(own, options), ignores)

        async def launch_async(own, **options):
            shared._check(own, "launch", options)
            if _ignores_certificates(options):
                await asyncio.to_thread(shared._ignore_certificates)
            return await to_session(own, options)

        async def launch_persistent_context_async(own, user_data_dir=None, **options):
            shared._check(own, "launch_persistent_context", options)
            ignores = _ignores_certificates(options)
            if ignores:
                await asyncio.to_thread(shared._ignore_certificates)
            return default_context(await to_session(own, options), ignores)

        def default_context(browser, ignores):
            context = browser.contexts[0]
            if ignores:
                _ignore_in_requests(context.request)
            return context

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
            own = urllib.parse.urlsplit(self.endpoint or "/")
            return bool(_LOOPBACK.fullmatch(url.hostname or "")) or url.path.startswith(own.path)
        except ValueError:
            return False

    def _ignore_certificates(self):
        """Makes the browser ignore certificate errors until the session ends.

        Its default context, which is the one of a launched browser, has no such option.
        """
        if not self.endpoint:
            return  # connecting reports it
        from http.client import HTTPConnection

        url = urllib.parse.urlsplit(self.endpoint)
        server = HTTPConnection(url.hostname, url.port, timeout=REQUEST_LIMIT_SECONDS)
        try:
            server.request("POST", f"{url.path}/ignore-certificate-errors?{url.query}", headers={"Content-Length": "0"})
            status = server.getresponse().status
        finally:
            server.close()
        if status != 204:
            raise RuntimeError(f"cannot ignore certificate errors: the server answered with status {status}")

    def _check(self, own, method, options):
        if own.name != "chromium":
            from playwright.async_api import Error

            raise Error(f"BrowserType.{method}: {own.name} is not available. {_WHY}")
        ignored = [name for name, value in options.items() if value is not None and name not in _PROCESS_OPTIONS]
        if ignored:
            names = ", ".join(ignored)
            self._report(f"chromium.{method}() connected to the session's browser, without the options {names}\n")


def _ignores_certificates(options):
    """Returns whether options turn the check of certificates off."""
    return bool(options.get("ignore_https_errors")) or "--ignore-certificate-errors" in (options.get("args") or ())


def _ignore_in_requests(requests):
    """Makes requests of a context ignore certificates. Relies on the method that all of them call."""
    requests = requests._impl_obj
    fetch = requests._inner_fetch

    async def fetch_from_any(**options):
        if options.get("ignore_https_errors") is None:
            options["ignore_https_errors"] = True
        return await fetch(**options)

    requests._inner_fetch = fetch_from_any


@functools.cache
def _refuse_video():
    """Makes new contexts with a video fail. Playwright would suggest a command that does not work."""
    try:
        from playwright._impl import browser
        from playwright._impl._errors import Error
    except ImportError:
        return  # another version, with other internals

    prepare = browser.prepare_browser_context_params

    async def prepare_without_video(options):
        if options.get("record_video_dir") is not None:
            raise Error(_NO_VIDEO)
        return await prepare(options)

    browser.prepare_browser_context_params = prepare_without_video
