"""OHIF in a browser, as a person uses it; whatever it complains of is kept."""

import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

SECONDS = 60
WINDOW = {"width": 1280, "height": 800}
# The window in which Chromium shows a PDF has no storage.
NO_QUESTIONS = """
try {
    const expiryDate = '2100-01-01';
    localStorage.setItem('investigationalUseDialog', JSON.stringify({expiryDate}));
    localStorage.setItem('shownTours', '["basicViewerTour"]');
} catch {}
"""


class Viewer:
    """One page of OHIF on a server."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.requests: list[Any] = []
        page.set_default_timeout(SECONDS * 1000)
        page.add_init_script(NO_QUESTIONS)
        page.on("console", self._hear)
        page.on("pageerror", self._fall)
        page.on("response", self._look)
        page.on("requestfailed", self._miss)
        page.on("request", self._note)

    def studies(self, query: str = "") -> None:
        """Open the study list."""
        self.page.goto(f"{self.url}/ohif/{query}")
        self.page.locator("[data-filter-row]").wait_for()

    def patients(self) -> list[str]:
        """The patients in the study list."""
        return self.page.locator("tr[aria-selected] td:first-child").all_inner_texts()

    def shows_patients(self, *expected: str) -> bool:
        """Whether the study list comes to show these, in any order."""
        return eventually(lambda: sorted(self.patients()) == sorted(expected))

    def shows_patient(self, expected: str) -> bool:
        """Whether this one comes to be among them."""
        return eventually(lambda: expected in self.patients())

    def study(self, study: str, mode: str = "viewer", **parameters: str) -> None:
        """Open a study."""
        more = "".join(f"&{name}={text}" for name, text in parameters.items())
        self.page.goto(f"{self.url}/ohif/{mode}?StudyInstanceUIDs={study}{more}")
        self.page.locator("[data-cy=viewport-pane]").first.wait_for()

    def open(self, modality: str) -> None:
        """Show a series that has no picture of its own."""
        thumbnail = "[data-cy=study-browser-thumbnail-no-image]"
        self.page.locator(thumbnail, has_text=modality).dblclick()

    def measure(self) -> None:
        """Draw a length across the middle of the first viewport."""
        self.page.locator("[data-cy=MeasurementTools-split-button-primary]").click()
        place = self.page.locator("[data-cy=viewport-pane]").first.bounding_box()
        x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
        self.page.mouse.move(x - 100, y)
        self.page.mouse.down()
        self.page.mouse.move(x, y + 20, steps=5)
        self.page.mouse.move(x + 100, y + 50, steps=5)
        self.page.mouse.up()

    def text(self) -> str:
        """What stands on the page."""
        return str(self.page.inner_text("body"))

    def shows_text(self, expected: str) -> bool:
        """Whether this comes to stand on the page."""
        return eventually(lambda: expected in self.text())

    def shows_pictures(self, number: int = 1, least: float = 0.02) -> bool:
        """Whether there come to be so many viewports, in each of which something is bright."""
        panes = self.page.locator("[data-cy=viewport-pane]")

        def all_bright() -> bool:
            count = panes.count()
            return count == number and all(
                brightness(panes.nth(each).screenshot()) > least for each in range(count)
            )

        return eventually(all_bright)

    def red(self) -> float:
        """How much of the first viewport is red, as segments are."""
        pixels = pixels_of(self.page.locator("[data-cy=viewport-pane]").first.screenshot())
        red, green, blue = (pixels[..., channel].astype(int) for channel in range(3))
        return float(((red > green + 60) & (red > blue + 60)).mean())

    def _note(self, request: Any) -> None:
        self.requests.append(request)

    def _hear(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def _fall(self, error: Any) -> None:
        # What Chromium shows a PDF with is a page of its own, which misses its storage at times.
        if self.url in (error.stack or ""):
            self.complaints.append(error.stack)

    def _look(self, response: Any) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status} {response.url}")

    def _miss(self, request: Any) -> None:
        # What is no longer needed is given up.
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"{request.failure} {request.url}")


def pixels_of(picture: bytes) -> Any:
    """The pixels of a PNG: rows, columns, RGB."""
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


def brightness(picture: bytes) -> float:
    """How much of the middle of a viewport is bright; its edges have texts on them."""
    pixels = pixels_of(picture)
    rows, columns, _ = pixels.shape
    middle = pixels[rows // 6 : -rows // 6, columns // 6 : -columns // 6]
    return float((middle.max(axis=-1) > 50).mean())


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether the condition comes true."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False
