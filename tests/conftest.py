"""What tests share: real data, the built book, a browser that reaches nothing but that book."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from pages import CHROMIUM, chromium, served
from places import ROOT, absent
from strangers import exported, forged, whole  # noqa: F401 (fixtures)
from waits import PATIENCE


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """The folder with the real MNIST files."""
    from lth_core import data

    if not data.available("mnist"):
        absent(f"MNIST is not in {data.folder()}: name its folder with LTH_DATA_DIR.")
    return data.folder()


@pytest.fixture(scope="session")
def built_book() -> Path:
    """`_build/html`, built now unless it is up to date."""
    command = [sys.executable, "-m", "lth_companion.build.book", "--root", str(ROOT)]
    (ROOT / "_build").mkdir(exist_ok=True)
    with FileLock(ROOT / "_build" / "tests.lock"):  # two test processes, one book
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, f"the book does not build:\n{run.stdout}{run.stderr}"
    return ROOT / "_build" / "html"


@pytest.fixture(scope="session")
def site(built_book: Path) -> Iterator[str]:
    """The book's address on a local server."""
    with served(built_book) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium, headless."""
    from playwright.sync_api import sync_playwright

    path = chromium()
    if path is None:
        absent("no Chromium on this machine: install it (Debian: chromium) to test the built book.")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=CHROMIUM)
        yield opened
        opened.close()


@dataclass
class Tab:
    """A browser page, what went wrong on it, and what it asked for outside the book."""

    page: Any
    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)


@pytest.fixture
def tab(browser: Any, site: str, request: pytest.FixtureRequest) -> Iterator[Tab]:
    """A fresh tab, cut off from everything but the book; parametrise indirectly with `(width, colour mode)`."""
    width, mode = getattr(request, "param", (1280, "light"))
    context = browser.new_context(
        base_url=site, viewport={"width": width, "height": 900}, color_scheme=mode, has_touch=width < 600
    )
    context.set_default_timeout(PATIENCE * 1000)  # a busy machine is no failure
    tab = Tab(context.new_page())

    def gate(route: Any) -> None:
        if route.request.url.startswith(site):
            return route.continue_()
        tab.outside.append(route.request.url)
        return route.abort()

    context.route("**/*", gate)
    tab.page.on("pageerror", lambda error: tab.errors.append(str(error)))
    tab.page.on("console", lambda line: tab.errors.append(line.text) if line.type in ("error", "warning") else None)
    tab.page.on("response", lambda r: tab.errors.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    yield tab
    context.close()
