"""Provides the names `browser`, `context` and `page`.

Connects them before a cell runs, and rebinds them when the objects behind them are gone.
Independent of frames and cells. `names` is the user's namespace.
"""

import asyncio
import os
import sys
import weakref

from hearth_kernel import driver, launch

RENEW_LIMIT_SECONDS = 20
LOOKUP_LIMIT_SECONDS = 2
APPEAR_LIMIT_SECONDS = 1


class Unusable(Exception):
    """The browser cannot be reached. The message is one sentence."""


class Binding:
    def __init__(self, names, playwright, shared):
        from playwright import async_api

        self._api = async_api
        self._names = names
        self._playwright = playwright
        self._shared = shared
        self._endpoint = None
        self._browser = None
        self._connecting = None
        self._targets = weakref.WeakKeyDictionary()  # page → future of its CDP target id

    def attach(self, endpoint):
        """Connects before the first run, which reports a failure."""
        self._endpoint = self._shared.endpoint = endpoint
        return self._begin_connecting()

    def rename(self, endpoint):
        """Replaces the address of the browser, which has got the id of the session."""
        if endpoint != self._endpoint:
            self._endpoint = self._shared.endpoint = os.environ["CDP_URL"] = endpoint

    @property
    def connection(self):
        """The connection to Playwright's driver."""
        return self._playwright._impl_obj._connection

    def is_fresh(self):
        """Returns whether the names are usable.

        Makes no round trip, because it runs before every cell.
        """
        get = self._names.get
        return (
            self._is_connected()
            and not self._is_stale(get("page", self))
            and not self._is_stale(get("context", self))
            and not self._is_stale(get("browser", self))
        )

    async def renew(self, target):
        """Rebinds the names. `target` is the CDP id of the current tab, or None. Raises Unusable."""
        try:
            await asyncio.wait_for(self._renew(target), RENEW_LIMIT_SECONDS)
        except (asyncio.TimeoutError, TimeoutError):
            self._connecting = None
            reason = f"the browser did not answer within {RENEW_LIMIT_SECONDS} s"
        except Exception as error:
            reason = (str(error) or type(error).__name__).partition("\n")[0]
            reason = reason.replace(self._endpoint or "\0", "…")
        else:
            return
        raise Unusable(f"no usable browser connection: {reason}")

    async def _renew(self, target):
        if self._endpoint is None:
            raise Unusable("the kernel has no browser address")
        if not self._is_connected():
            attempt = self._connecting
            try:
                await asyncio.shield(attempt or self._begin_connecting())
            except Exception:
                # A pending attempt may have started before the browser could answer, so try a
                # second time.
                if attempt is None:
                    raise
                await asyncio.shield(self._begin_connecting())
        await self._rebind(target)

    def _begin_connecting(self):
        attempt = asyncio.ensure_future(self._connect())

        def ended(done):
            if self._connecting is done:
                self._connecting = None
            if not done.cancelled():
                done.exception()  # reported by the run, not by asyncio

        attempt.add_done_callback(ended)
        self._connecting = attempt
        return attempt

    async def _connect(self):
        if self._is_cut(self._playwright):
            self._playwright = await driver.start()
        limit_ms = RENEW_LIMIT_SECONDS * 1000
        os.makedirs(launch.ARTIFACTS, exist_ok=True)
        self._browser = await self._shared.connect(self._playwright.chromium, timeout=limit_ms)
        for page in self._pages():
            self._target_of(page)  # looked up in advance to save the first run a round trip

    def _is_connected(self):
        browser = self._browser
        return browser is not None and browser.is_connected() and not self._is_cut(browser)

    @staticmethod
    def _is_cut(wrapper):
        # After Playwright's driver has exited, its objects still report that they are connected.
        return wrapper._impl_obj._connection._closed_error is not None

    def _is_stale(self, value):
        if value is self:
            return True  # the name does not exist
        # Code may bind a name to an object of the synchronous API.
        interfaces = (self._api, sys.modules.get("playwright.sync_api"))
        try:
            return any(self._is_stale_in(api, value) for api in interfaces if api is not None)
        except Exception:
            return False

    def _is_stale_in(self, api, value):
        if isinstance(value, (api.Page, api.BrowserContext)):
            home = value.context.browser if isinstance(value, api.Page) else value.browser
            return self._is_cut(value) or value.is_closed() or (home is not None and not home.is_connected())
        if isinstance(value, api.Browser):
            return self._is_cut(value) or not value.is_connected()
        return False

    async def _rebind(self, target):
        names = self._names
        if self._is_stale(names.get("browser", self)):
            names["browser"] = self._browser
        if self._is_stale(names.get("page", self)):
            names["page"] = await self._current_page(target)
        if self._is_stale(names.get("context", self)):
            page = names.get("page")
            names["context"] = page.context if isinstance(page, self._api.Page) else self._browser.contexts[0]

    def _pages(self):
        return [page for context in self._browser.contexts for page in context.pages if not page.is_closed()]

    async def _current_page(self, target):
        if target is not None:
            found = await self._find_page(target) or await self._appearing(target)
            if found is not None:
                return found
        pages = self._pages()
        return pages[0] if pages else await self._browser.contexts[0].new_page()

    async def _find_page(self, target):
        pages = self._pages()
        targets = await asyncio.gather(*(asyncio.shield(self._target_of(page)) for page in pages))
        found = (page for page, known in zip(pages, targets) if known == target and not page.is_closed())
        return next(found, None)

    async def _appearing(self, target):
        """Waits for the page of a tab, because another client may have opened the tab just now."""
        arrived = asyncio.Event()
        contexts = self._browser.contexts

        def listener(_page):
            arrived.set()

        for context in contexts:
            context.on("page", listener)
        try:
            async with asyncio.timeout(APPEAR_LIMIT_SECONDS):
                while True:
                    found = await self._find_page(target)
                    if found is not None:
                        return found
                    await arrived.wait()
                    arrived.clear()
        except TimeoutError:
            return None
        finally:
            for context in contexts:
                context.remove_listener("page", listener)

    def _target_of(self, page):
        known = self._targets.get(page)
        if known is None:
            known = self._targets[page] = asyncio.ensure_future(self._ask_target(page))
        return known

    async def _ask_target(self, page):
        try:
            async with asyncio.timeout(LOOKUP_LIMIT_SECONDS):
                session = await page.context.new_cdp_session(page)
                answer = await session.send("Target.getTargetInfo")
                await session.detach()
                return answer["targetInfo"]["targetId"]
        except Exception:
            self._targets.pop(page, None)
            return None
