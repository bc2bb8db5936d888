"""The recipes of the how-to page, done: a data set is one file and a line, an arm an entry and a function."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

RUN = """
from lth_core import data, results, tickets
from lth_core.spec import Spec
from lth_core.store import Store
base = dict(dataset="{dataset}", arch="lenet-12-8", iterations=40, eval_every=20, lr=5e-3)
first = Spec(**base)
rows = [first.at_round(0), *(first.at_round(1, arm=a, prune_fc=0.5, prune_out=0.25) for a in ("ticket", "{arm}"))]
report = tickets.run(rows, Store("store"), device="cpu")
assert not report.missing and not report.refused, report
found = results.table(rows, Store("store"))
print(*found["density"].round(4))
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A copy of the core that a recipe may change."""
    shutil.copytree(ROOT / "lth_core", tmp_path / "lth_core", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def changed(file: Path, pattern: str, new: str) -> None:
    text, n = re.subn(pattern, new, file.read_text(), count=1, flags=re.M)
    assert n == 1, f"{pattern} is not in {file.name}"
    file.write_text(text)


def trained(own: Path, dataset: str = "digits", arm: str = "reinit") -> str:
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(dataset=dataset, arm=arm)], cwd=own, capture_output=True, text=True,
        env={"PATH": "", "PYTHONPATH": str(own), "HOME": str(own)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


HALVES = '''
"""Digits of scikit-learn, upper half only."""

from lth_core.data.digits import DIGITS
from lth_core.data.base import Facts


def _read(where):
    images, labels, test_images, test_labels = DIGITS.fetch(where)
    return images[:, :32], labels, test_images[:, :32], test_labels


HALVES = Facts(
    name="halves", title="upper halves of digits", checksum="{checksum}", shape=(32,), train=1_257, val=180, test=360,
    fetch=_read,
)
'''


def test_add_a_data_set(own: Path) -> None:
    file = own / "lth_core" / "data" / "halves.py"
    file.write_text(HALVES.format(checksum="0" * 16))
    init = own / "lth_core" / "data" / "__init__.py"
    changed(init, r"^from lth_core.data.mnist", "from lth_core.data.halves import HALVES\nfrom lth_core.data.mnist")
    changed(init, r", DIGITS32\)\}$", ", DIGITS32, HALVES)}")
    with pytest.raises(AssertionError, match=r"checksum [0-9a-f]{16}, expected 0{16}") as error:
        trained(own, "halves")  # which tells the checksum to write down
    file.write_text(HALVES.format(checksum=re.search(r"checksum ([0-9a-f]{16})", str(error.value))[1]))  # type: ignore[index]
    assert trained(own, "halves")


def test_add_an_arm(own: Path) -> None:
    """A control that starts at the ticket's weights with their signs turned round."""
    entry = 'Arm(name="turned", title="signs turned round", redrawn=False),'
    changed(own / "lth_core" / "arms.py", r"^KNOWN_ARMS = \($", f"KNOWN_ARMS = (\n    {entry}")
    starts = own / "lth_core" / "starts.py"
    function = "def _turned(spec, masks, weights):\n    return masks, {n: -w for n, w in weights.items()}\n\n\n"
    changed(starts, r"^# How an arm's network starts", function + "# How an arm's network starts")
    changed(starts, r'^    "ticket": _kept,$', '    "ticket": _kept,\n    "turned": _turned,')
    density = trained(own, arm="turned").split()
    assert density[1] == density[2] != density[0]


def test_every_arm_has_a_start() -> None:
    from lth_core.arms import ARMS
    from lth_core.starts import STARTS

    assert set(STARTS) == set(ARMS)
    assert {a.mask for a in ARMS.values()} == {"ticket", "shuffled", "random", "initial"}


def test_add_a_claim(tmp_path: Path) -> None:
    """One entry of claims.yaml is enough where a test asks it already."""
    for name in ("lth_core", "lth_companion"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "results").symlink_to(ROOT / "results")
    file = tmp_path / "lth_companion" / "claims" / "claims.yaml"
    first = re.search(r"^- id: .*?(?=^- id: )", file.read_text(), flags=re.M | re.S)
    assert first
    added = re.sub(r"^- id: \S+", "- id: added-by-a-test", first[0])
    file.write_text(file.read_text().rstrip("\n") + "\n" + added)
    code = "from lth_companion.claims import statements; print([c.id for c in statements.load()][-1])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
                          env={"PATH": "", "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)})  # fmt: skip
    assert done.stdout.strip() == "added-by-a-test", done.stderr
