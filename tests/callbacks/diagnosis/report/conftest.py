"""A fixture that opens pages in headless Chromium, over its debugging pipe."""

import base64
import json
import os
import shutil
import subprocess

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Descriptors 3 and 4 are those on which the browser reads and writes messages.
START = 'exec "$@" 3<&"$READ" 4>&"$WRITE"'
SEEN = """JSON.stringify({
  overflow: document.documentElement.scrollWidth
    - document.documentElement.clientWidth,
  height: document.documentElement.scrollHeight,
  images: [...document.images].map(one => one.complete && one.naturalWidth > 0),
  text: document.body.innerText,
  links: [...document.links].map(one => one.href),
})"""


class Browser:
    """Headless Chromium with one page."""

    def __init__(self, program, folder):
        self.messages = []
        self._count = 0
        its_read, write = os.pipe()
        read, its_write = os.pipe()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        flags += ["--disable-dev-shm-usage", "--disable-background-networking"]
        flags += ["--remote-debugging-pipe", f"--user-data-dir={folder}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", START, "bash", program, *flags],
            env=os.environ | {"READ": str(its_read), "WRITE": str(its_write)},
            pass_fds=(its_read, its_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(its_read)
        os.close(its_write)
        self._read, self._write = os.fdopen(read, "rb"), os.fdopen(write, "wb")
        self._session = {}
        target = self("Target.createTarget", url="about:blank")["targetId"]
        session = self("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": session["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")

    def __call__(self, method, **parameters):
        """Calls a method of the DevTools protocol, and returns its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        self._write.write(json.dumps(message | self._session).encode() + b"\0")
        self._write.flush()
        while (answer := self._next()).get("id") != self._count:
            self.messages.append(answer)
        if "error" in answer:
            raise RuntimeError(answer["error"]["message"])
        return answer["result"]

    def open(self, path, width, height=800):
        """Opens a page as on a screen of that size, and returns what is seen.

        The screen has two dots per pixel.
        """
        self.messages.clear()
        size = {"width": width, "height": height}
        is_phone = width < 600
        options = {"deviceScaleFactor": 2 if is_phone else 1, "mobile": is_phone}
        self("Emulation.setDeviceMetricsOverride", **size, **options)
        self("Page.navigate", url=path.as_uri())
        while (message := self._next()).get("method") != "Page.loadEventFired":
            self.messages.append(message)
        result = self("Runtime.evaluate", expression=SEEN)["result"]["value"]
        return json.loads(result) | {"errors": self._errors(), "requests": self._urls()}

    def screenshot(self, path, height=None):
        """Writes a picture of the whole page, or of its upper part."""
        metrics = self("Page.getLayoutMetrics")["cssContentSize"]
        height = min(height or metrics["height"], metrics["height"])
        clip = {"x": 0, "y": 0, "width": metrics["width"], "height": height, "scale": 1}
        shot = self("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self):
        self._session = {}
        self("Browser.close")
        self._process.wait(30)
        self._read.close()
        self._write.close()

    def _next(self):
        data = bytearray()
        while (byte := self._read.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("The browser ended.")
            data += byte
        return json.loads(data)

    def _errors(self):
        names = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        names += ("Log.entryAdded", "Network.loadingFailed")
        return [one for one in self.messages if one.get("method") in names]

    def _urls(self):
        sent = "Network.requestWillBeSent"
        urls = [
            one["params"]["request"]["url"]
            for one in self.messages
            if one.get("method") == sent
        ]
        return [url for url in urls if not url.startswith(("data:", "file:"))]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("requires Chromium")
    browser = Browser(program, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()
