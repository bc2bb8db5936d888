"""Which files a page reaches by its imports: what is read agrees with what is run, and doubt reaches everything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

from lth_companion.build.book import PACKAGES
from lth_companion.imported_files import Code


@pytest.fixture
def code(tmp_path: Path) -> Code:
    """A package of a few modules, two of which have files beside them."""
    texts = {
        "p/__init__.py": "", "p/a.py": "def f():\n    from p import b\n", "p/b.py": "import json\nfrom .low import c\n",
        "p/low/__init__.py": "from . import d", "p/low/c.py": "model.eval()", "p/low/d.py": "", "p/low/c.yaml": "x: 1",
        "p/alone.py": "", "p/style.css": "",
        "p/by_name.py": "NAMES = {'x': 'p.alone'}\nimportlib.import_module(NAMES['x'])",
        "p/blind.py": "import importlib\nimportlib.import_module(input())", "p/child.py": "import subprocess",
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return Code(tmp_path, ["p"])


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("import numpy", ""),
        ("import p.low.d", "__init__ style low/__init__ low/d low/c.yaml"),
        ("from p import a", "__init__ a b style low/__init__ low/c low/d low/c.yaml"),
        ("if True:\n    import p.alone as x", "__init__ alone style"),
        ("from p import by_name", "__init__ alone by_name style"),
    ],
)
def test_a_source_reaches_what_it_imports(code: Code, source: str, wanted: str) -> None:
    names = {"style": "style.css", "low/c.yaml": "low/c.yaml"}
    found = {str(p.relative_to(code.files[0].parent)) for p in code.reached(source)}
    assert found == {names.get(name, f"{name}.py") for name in wanted.split()}


@pytest.mark.parametrize("source", ["from p import blind", "import p.child", "%matplotlib inline", "import subprocess",
                                    "exec(text)", "__import__(name)", "from p import blind, a"])  # fmt: skip
def test_doubt_reaches_everything(code: Code, source: str) -> None:
    assert code.reached(source) == code.files


def test_nothing_is_run_that_was_not_read() -> None:
    """What Python really imports lies among what is read off the source."""
    module = "lth_companion.pages.words"
    told = f"import {module}, sys; print(*[m.__file__ for m in sys.modules.values() if getattr(m, '__file__', None)])"
    run = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True)
    ours = {Path(f) for f in run.stdout.split() if any(Path(f).is_relative_to(ROOT / p) for p in PACKAGES)}
    code = Code(ROOT, PACKAGES)
    found = code.reached(f"import {module}")
    assert len(ours) > 10 and ours <= set(found) < set(code.files)


def test_every_file_lies_beside_a_module_that_reaches_it() -> None:
    code = Code(ROOT, PACKAGES)
    folders = {p.parent for p in code.modules.values()}
    assert [p for p in code.files if p.suffix != ".py" and p.parent not in folders] == []
