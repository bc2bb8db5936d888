"""What the tests of several widgets show: published networks of ICLR section 2."""

from __future__ import annotations

import pytest

pytest.importorskip("anywidget")

from lth_companion.experiments.study import Study


@pytest.fixture(scope="module")
def study() -> Study:
    made = Study(notebook="iclr_2_lenet")
    assert not made.lacking("iclr-fig04"), "the book's first slider shows published networks"
    return made
