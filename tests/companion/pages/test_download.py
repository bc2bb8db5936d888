"""Notebooks that readers keep: plain Jupyter shows no role, no label and no link that leads nowhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from places import ROOT

from lth_companion.pages import download, install

PAGES = {"iclr_2_lenet": "LeNet", "claims": "The claim ledger", "teach/1_xor_lottery": "XOR"}
CITED = {"a": "[A and B, 2019](https://a.example)", "b": "C, 2018"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("(iclr-2-lenet)=\n# Title\nText", "# Title\nText"),
        ("see {doc}`iclr_2_lenet`.", "see [LeNet](iclr_2_lenet.ipynb)."),
        ("see {doc}`the ledger <claims>`.", "see [the ledger](claims.ipynb)."),
        ("see {doc}`sparse_cpu`.", "see *sparse cpu*."),
        ("[verdicts](claims) and [readings](v1-3-readings)", "[verdicts](claims.ipynb) and readings"),
        ("[out](https://x.example/a) and ![a](data:b)", "[out](https://x.example/a) and ![a](data:b)"),
        ("as {cite:t}`b` says {cite:p}`a,b`", "as C, 2018 says ([A and B, 2019](https://a.example); C, 2018)"),
        ("{ref}`Equal bits <equal-bits>`", "Equal bits"),
        ("$f(x)=y$ and `{doc}`", "$f(x)=y$ and `{doc}`"),
    ],
)  # fmt: skip
def test_each_construct_is_written_out(text: str, said: str) -> None:
    assert download.plain(text, PAGES, CITED) == said


def test_no_notebook_keeps_a_role(tmp_path: Path) -> None:
    for source in (ROOT / "notebooks").rglob("*.ipynb"):
        copy = tmp_path / source.relative_to(ROOT / "notebooks")
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(source.read_bytes())
    download.write_out(tmp_path)
    for path in tmp_path.rglob("*.ipynb"):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            text = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                assert not re.search(r"\{[a-z:]+\}`|^\([\w-]+\)=|^```\{|^:::", text, re.M), (path.name, text)
                for target in re.findall(r"\]\(([^)]+)\)", text):
                    assert target.startswith(("https://", "http://")) or (tmp_path / target).exists(), (
                        path.name,
                        target,
                    )


def test_the_installing_line_has_the_address_where_it_is_set(tmp_path: Path) -> None:
    config = tmp_path / "_config.yml"
    config.write_text("title: x\n")
    assert install.line(config).endswith('```bash\npip install ".[book]"\n```') and "copy" in install.line(config)
    config.write_text("repository:\n  url: https://git.example/lth\n")
    assert install.line(config) == '```bash\npip install "lth-core[book] @ git+https://git.example/lth"\n```'
