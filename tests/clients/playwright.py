"""Playwright for python as a third-party client of a session.

Takes the same arguments and prints the same lines as the JavaScript programs: see steps.mjs.
"""

import json
import sys
import time
import traceback
from importlib.metadata import version
from pathlib import Path

# This file has the same name as the library, which must be imported instead of it.
sys.path.remove(str(Path(__file__).parent))
from playwright.sync_api import sync_playwright

CDP_URL, SITE, _, NAME = sys.argv[1:]
UPLOAD_BYTES = 40_000_000


class NotOffered(Exception):
    """Raised for a step that the client does not offer."""


class Client:
    """The connection, the page, and one method for each step, in order."""

    def __init__(self, playwright):
        self.playwright = playwright

    def connect(self):
        self.open()
        self.page = self.browser.contexts[0].new_page()

    def open(self):
        self.browser = self.playwright.chromium.connect_over_cdp(CDP_URL)
        # The default of 30 s is too short for 40 MB in one message on a busy machine.
        self.browser.contexts[0].set_default_timeout(60_000)
        urls = [page.url for page in self.browser.contexts[0].pages]
        assert f"{SITE}/title/first" in urls, f"the session's page is not among {urls}"

    def out(self):
        return self.page.locator("#out").text_content()

    def navigate(self):
        self.page.goto(f"{SITE}/title/{NAME}")
        assert self.page.title() == NAME

    def click(self):
        self.page.goto(f"{SITE}/button")
        self.page.get_by_role("button", name="Press").click()
        assert self.page.title() == "pressed"

    def fill(self):
        self.page.goto(f"{SITE}/form")
        self.page.get_by_label("Name").fill(f"I am {NAME}")
        self.page.get_by_text("Send").click()
        assert self.out() == f"I am {NAME}"

    def screenshot(self):
        png = self.page.screenshot()
        size = (int.from_bytes(png[16:20]), int.from_bytes(png[20:24]))
        assert (png[1:4], size) == (b"PNG", (1280, 720)), (png[:24], size)

    def route(self):
        answer = {"content_type": "text/html", "body": "<title>replaced</title>"}
        self.page.route("**/title/original", lambda route: route.fulfill(**answer))
        self.page.goto(f"{SITE}/title/original")
        assert self.page.title() == "replaced"
        self.page.unroute("**/title/original")

    def popup(self):
        self.page.goto(f"{SITE}/popup")
        with self.page.expect_popup() as opened:
            self.page.click("a")
        opened.value.wait_for_load_state()
        assert opened.value.title() == "popped"
        opened.value.close()

    def cross_site_iframe(self):
        self.page.goto(f"{SITE}/frame")
        assert self.page.frame_locator("iframe").locator("h1").text_content() == "inside"

    def download(self):
        self.page.goto(f"{SITE}/downloads/{NAME}")
        with self.page.expect_download() as begun:
            self.page.click("a")
        assert begun.value.suggested_filename == f"{NAME}.bin"
        assert begun.value.failure() is None, begun.value.failure()

    def upload_of_40_mb(self):
        # A local file, because Playwright sends the bytes.
        Path("upload.bin").write_bytes(b"." * UPLOAD_BYTES)
        self.page.goto(f"{SITE}/upload")
        self.page.set_input_files("#file", "upload.bin")
        self.page.wait_for_function("out.textContent")
        assert self.out() == f"upload.bin: {UPLOAD_BYTES} bytes", self.out()

    def dialog(self):
        self.page.goto(f"{SITE}/dialog")
        messages = []

        def accept(dialog):
            messages.append(dialog.message)
            dialog.accept()

        self.page.once("dialog", accept)
        self.page.get_by_text("Ask").click()
        assert (messages, self.out()) == (["Shall we?"], "accepted"), (messages, self.out())

    def file_chooser(self):
        self.page.goto(f"{SITE}/upload")
        with self.page.expect_file_chooser() as opened:
            self.page.click("#file")
        opened.value.set_files({"name": "note.txt", "mimeType": "text/plain", "buffer": NAME.encode()})
        self.page.wait_for_function("out.textContent")
        assert self.out() == f"note.txt: {len(NAME)} bytes", self.out()

    def new_context(self):
        self.page.evaluate(f"document.cookie = '{NAME}=outside'")
        other = self.browser.new_context().new_page()
        other.goto(f"{SITE}/title/other")
        assert other.evaluate("document.cookie") == ""
        other.evaluate("document.cookie = 'inside=1'")
        assert "inside" not in self.page.evaluate("document.cookie")

    def tracing(self):
        tracing = self.browser.contexts[0].tracing
        tracing.start(screenshots=True, snapshots=True)
        self.page.goto(f"{SITE}/title/traced")
        tracing.stop(path="trace.zip")
        trace = Path("trace.zip").read_bytes()
        assert trace[:2] == b"PK" and len(trace) > 1000

    def close(self):
        self.page.close()
        self.browser.close()
        self.open()

    def disconnect(self):
        raise NotOffered("its `close` disconnects")


def outcome(action):
    try:
        action()
    except NotOffered as why:
        return {"offered": False, "note": str(why)}
    except Exception:
        return {"ok": False, "note": traceback.format_exc()}
    return {"ok": True, "note": ""}


with sync_playwright() as playwright:
    client = Client(playwright)
    print(json.dumps({"version": version("playwright")}), flush=True)
    for step, action in {
        "connect": client.connect,
        "navigate": client.navigate,
        "click": client.click,
        "fill": client.fill,
        "screenshot": client.screenshot,
        "route": client.route,
        "popup": client.popup,
        "cross-site iframe": client.cross_site_iframe,
        "download": client.download,
        "upload of 40 MB": client.upload_of_40_mb,
        "dialog": client.dialog,
        "file chooser": client.file_chooser,
        "new context": client.new_context,
        "tracing": client.tracing,
        "close": client.close,
        "disconnect": client.disconnect,
    }.items():
        began = time.monotonic()
        came = outcome(action)
        print(json.dumps({"step": step, "ms": round((time.monotonic() - began) * 1000), **came}), flush=True)
