"""The built book in a browser: milliseconds from the start of navigation until a first key has had its effect.

    python benchmarks/pages.py
    python benchmarks/pages.py FOLDER       # only pages with sliders, beside those of another build (its html folder)

Pages with a slider answer when an arrow key has moved it, others when their search button is there. All pages take
turns, medians of 5; the ratio is to the quickest page, which shows the same frame around little text. Builds the book
first if it is not up to date; measures nothing where there is no Chromium.
"""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 5
SHOWN = 6  # slowest pages that the table names; of the others it gives the median
CHROMIUM = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip


class Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # a browser opens more at once than the five that are the default

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a page that is closed before all has come breaks its connection."""


@contextmanager
def served(folder: Path, files: type[Files] = Files) -> Iterator[str]:
    """The address of a local server of a folder."""
    server = Server(("127.0.0.1", 0), functools.partial(files, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def chromium() -> str | None:
    """The path of a Chromium or Chrome on this machine."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def slides(file: Path) -> bool:
    """Whether a built page has a slider of ours."""
    return '"_esm"' in file.read_text("utf-8")


def answers(page: Any, slider: bool) -> bool:
    """Whether a page that begins to load answers to a first key, pressed as soon as there is a slider to press it on.
    Without a slider: once there is its search button."""
    if not slider:
        page.get_by_role("button", name="Search").first.wait_for()
        return True
    widget = "article .lth-widget"
    page.locator(f"{widget} :is(input[type=range], select):visible").first.wait_for()
    sliders = page.locator(f"{widget} input[type=range]:visible")
    # where two lines are to choose from, there is a list instead
    found = sliders.first if sliders.count() else page.locator(f"{widget} select:visible").first
    shown = "e => e.getAttribute('aria-valuetext') ?? e.value"
    before = found.evaluate(shown)
    found.focus()
    last = found.evaluate("e => e.type === 'range' ? e.value === e.max : e.selectedIndex === e.length - 1")
    page.keyboard.press("ArrowLeft" if last else "ArrowRight")
    return found.evaluate(shown) != before


def pages_of(html: Path) -> dict[str, bool]:
    """The pages of a build, and whether each has a slider."""
    names = [str(p.relative_to(html).with_suffix("")) for p in sorted(html.rglob("*.html")) if "_static" not in p.parts]
    names = [n for n in names if '<article class="bd-article"' in (html / f"{n}.html").read_text("utf-8")]
    return {n: slides(html / f"{n}.html") for n in names}


def times(builds: Sequence[tuple[Path, dict[str, bool]]]) -> list[dict[str, float]]:
    """Median milliseconds of each page of each build (folder, pages and whether they have a slider), in turns."""
    from playwright.sync_api import sync_playwright

    taken: list[dict[str, list[float]]] = [{n: [] for n in pages} for _, pages in builds]
    with ExitStack() as stack:
        sites = [stack.enter_context(served(html)) for html, _ in builds]
        opened = stack.enter_context(sync_playwright()).chromium.launch(executable_path=chromium(), args=CHROMIUM)
        for _ in range(REPEATS):
            for name in dict.fromkeys(n for _, pages in builds for n in pages):
                for site, (_, pages), own in zip(sites, builds, taken, strict=True):
                    if name not in pages:
                        continue
                    page = opened.new_page(base_url=site)  # a context of its own: nothing cached
                    page.goto(f"/{name}.html", wait_until="commit")
                    if not answers(page, pages[name]):
                        raise RuntimeError(f"{name}: a first key on its slider changes nothing")
                    own[name].append(page.evaluate("performance.now()"))
                    page.close()
    return [{n: median(t) for n, t in own.items()} for own in taken]


def rows() -> list[dict]:
    """`{benchmark, engine, setting, median, unit, ratio}`; ratio: the quickest page's time over this page's."""
    if chromium() is None:
        print("pages: no Chromium on this machine, nothing measured", file=sys.stderr)
        return []
    subprocess.run([sys.executable, "-m", "lth_companion.build.book"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    html = ROOT / "_build" / "html"
    with_slider = pages_of(html)
    [medians] = times([(html, with_slider)])
    base = min(medians.values())
    named = sorted(medians, key=lambda n: (not with_slider[n], -medians[n]))[:SHOWN]
    others = median(medians[n] for n in with_slider if n not in named)
    told = {n: f"{n}, a key on its slider" if with_slider[n] else f"{n}, its search button" for n in named}
    lines = [(told[n], medians[n]) for n in named]
    lines.append((f"the median of {len(with_slider) - len(named)} others", others))
    common = {"benchmark": "pages of the book, until they answer", "engine": "headless Chromium", "unit": "ms"}
    return [{**common, "setting": setting, "median": m, "ratio": base / m} for setting, m in lines]


def compare(other: Path) -> None:
    """Print each page that has a slider in this build or in another one, and how long it takes in each."""
    builds = [(html, pages_of(html)) for html in (ROOT / "_build" / "html", other)]
    with_slider = [{n: True for n, slider in pages.items() if slider} for _, pages in builds]
    here, there = times([(html, own) for (html, _), own in zip(builds, with_slider, strict=True)])
    for name in sorted(here | there, key=lambda n: -here.get(n, 0)):
        now, before = here.get(name), there.get(name)
        told = [f"{t:7,.0f} ms" if t else " no slider" for t in (now, before)]
        print(f"{name:40} {told[0]}, there {told[1]}" + (f", {now / before:.2f} of it" if now and before else ""))
    print(f"slowest: {max(here.values()):,.0f} ms, there {max(there.values()):,.0f} ms")


if __name__ == "__main__":
    if sys.argv[1:]:
        compare(Path(sys.argv[1]))
    else:
        for row in rows():
            print("{setting:60} {median:9,.0f} {unit}  {ratio:6.2f}x".format(**row))
