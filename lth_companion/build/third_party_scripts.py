"""Third-party scripts of the pages: they come with the installation, not the repository."""

from __future__ import annotations

import shutil
from importlib.metadata import distribution
from pathlib import Path

# What a page of mathematics needs of MathJax 3, which a Python package carries: 0.8 MB in place of 15.
MATHJAX = (
    "startup.js",
    "core.js",
    "input/tex.js",
    "output/chtml.js",
    "output/chtml/fonts/**/*",
    "a11y/assistive-mml.js",
)


def vendor(target: Path) -> None:
    """Copy MathJax out of its Python package: third-party scripts come with the installation, not the repository."""
    if target.exists():
        return
    package = distribution("sphinx-mathjax-offline")
    source = Path(str(package.locate_file("sphinx-mathjax-offline/static/mathjax")))
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    for pattern in MATHJAX:
        for path in source.glob(pattern):
            if path.is_file():
                copy = partial / path.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
    partial.rename(target)
