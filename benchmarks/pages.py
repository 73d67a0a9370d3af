"""How long the dashboard's pages take to be there, in headless Chromium, on the demo's store.

Run it with: python benchmarks/pages.py [a store]. Each page is opened a few times on a tab of its own; the best time counts, as what
else runs on the machine is not the page's.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from ccproxy import demo
from tests.support.dashboard import ARGUMENTS, CHROMIUM, running

TRIES = 5
PAGES = ("live", "sessions", "exchanges", "tokens", "cache", "context", "latency", "tools", "sql", "setup")
MADE = (
    "() => window.Bokeh && /^[A-Z].* · ccproxy$/.test(document.title)"
    " && !document.getElementById('main').classList.contains('waiting')"
)


def seconds(browser: Any, url: str) -> float:
    """Return how long a page takes to be there with all that it shows."""
    began = time.monotonic()
    page = browser.new_page()
    page.goto(url)
    page.wait_for_function(MADE)
    took = time.monotonic() - began
    page.close()
    return took


def main() -> None:
    """Print the best time of each page."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder, "demo.db")
        demo.make(store)
        with sync_playwright() as driver, running(store, Path(folder, "home")) as url:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            for name in PAGES:
                best = min(seconds(browser, f"{url}?page={name}") for _ in range(TRIES))
                print(f"{name:<10} {best:5.2f} s")
            browser.close()


if __name__ == "__main__":
    main()
