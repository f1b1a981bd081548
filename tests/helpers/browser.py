"""A real browser without a window, where there is one."""

from __future__ import annotations

import base64
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

MICROPHONE = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
DROP = """([name, content]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))], name));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""
READY = "() => !document.getElementById('file').disabled"
ANSWERED = """() => !document.getElementById("status").textContent && !document.getElementById("csv").disabled
  || document.getElementById("problem").textContent"""


@pytest.fixture(scope="session")
def chromium():
    """Return a function that starts a browser, with what the microphone is to give."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium on this machine")
    with api.sync_playwright() as playwright:

        @contextmanager
        def start(sound: Path | None = None, **context: object) -> Iterator[Page]:
            words = [*MICROPHONE, f"--use-file-for-fake-audio-capture={sound}%noloop"] if sound else []
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", *words])
            try:
                yield Page(browser.new_page(**context))
            finally:
                browser.close()

        yield start


class Page:
    """emopipe's page in a browser, and what it did."""

    def __init__(self, page) -> None:
        self.page = page
        self.requests, self.errors = [], []
        page.on("request", lambda request: self.requests.append(request))
        page.on("pageerror", lambda error: self.errors.append(error))
        page.on("console", self._note)

    def _note(self, message) -> None:
        if message.type == "error" and "responded with a status of 4" not in message.text:  # a refusal
            self.errors.append(message.text)

    def open(self, url: str) -> None:
        """Open it, and wait until it takes recordings."""
        self.page.goto(url)
        self.page.wait_for_function(READY, timeout=30_000)

    def drop(self, name: str, content: bytes) -> None:
        """Drop a file on it, and wait for the answer."""
        self.page.evaluate(DROP, [name, base64.b64encode(content).decode()])
        self.answered()

    def answered(self) -> None:
        """Wait until all that was given is answered, or refused."""
        self.page.wait_for_timeout(50)
        self.page.wait_for_function(ANSWERED, timeout=30_000)

    def download(self, button: str) -> str:
        """Return the content of a file that a button gives."""
        with self.page.expect_download() as found:
            self.page.click(f"#{button}")
        return Path(found.value.path()).read_text(encoding="utf-8")

    def rows(self) -> pd.DataFrame:
        """Return the rows of the CSV."""
        return pd.read_csv(StringIO(self.download("csv")))

    def text(self, name: str) -> str:
        """Return what stands somewhere."""
        return self.page.inner_text(f"#{name}")


@contextmanager
def file_host(folder: Path) -> Iterator[str]:
    """Serve the files of a folder and nothing else, and yield the address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
