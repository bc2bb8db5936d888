"""How the compiled engines share a machine: whose turn it is, what the caller is told, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lth_core.engines.one_a_core import side_by_side
from lth_core.models import Trained
from lth_core.store.checkpoint import Halfway

Told = Callable[[Any], None]


def trained(index: int) -> Trained:
    return Trained({}, {"w": np.full(1, index, np.float32)}, 0.0, "a test's")


def test_the_longest_begin_first_and_each_is_yielded_with_its_index() -> None:
    begun: list[int] = []

    def job(index: int, ending: threading.Event, report: Told, keep: Told) -> Trained:
        begun.append(index)
        return trained(index)

    found = dict(side_by_side(job, [1.0, 3.0, 2.0], name="a", threads=1))
    assert begun == [1, 2, 0]
    assert {i: float(t.weights["w"][0]) for i, t in found.items()} == {0: 0.0, 1: 1.0, 2: 2.0}


def test_what_happens_is_told_where_the_caller_waits() -> None:
    here, told = threading.current_thread(), []
    state = Halfway(5, {}, 1.0)

    def job(index: int, ending: threading.Event, report: Told, keep: Told) -> Trained:
        assert threading.current_thread() is not here
        report(7)
        keep(state)
        return trained(index)

    def progress(what: str, iterations: int) -> None:
        told.append((threading.current_thread(), iterations))

    def kept(index: int, half: Halfway) -> None:
        told.append((threading.current_thread(), (index, half)))

    assert len(list(side_by_side(job, [1.0], name="a", progress=progress, keep=kept))) == 1
    assert told == [(here, 7), (here, (0, state))]


def test_once_it_has_to_stop_nothing_unfinished_is_yielded() -> None:
    begun: list[int] = []

    def job(index: int, ending: threading.Event, report: Told, keep: Told) -> Trained | None:
        begun.append(index)
        report(1)
        return None if ending.wait(30) else trained(index)

    assert list(side_by_side(job, [2.0, 1.0], name="a", threads=1, stop=lambda: True)) == []
    assert begun == [0], "the second is not begun"


def test_an_error_is_raised_where_the_caller_waits_and_ends_the_others() -> None:
    begun, ended = threading.Event(), threading.Event()

    def job(index: int, ending: threading.Event, report: Told, keep: Told) -> Trained:
        if index:
            assert begun.wait(30)
            raise MemoryError("no room")
        begun.set()
        if ending.wait(30):
            ended.set()
        return trained(index)

    with pytest.raises(MemoryError, match="no room"):
        list(side_by_side(job, [2.0, 1.0], name="a", threads=2))
    assert ended.is_set()


def test_who_takes_no_more_ends_the_others() -> None:
    begun, ended = threading.Event(), threading.Event()

    def job(index: int, ending: threading.Event, report: Told, keep: Told) -> Trained:
        if index:
            begun.set()
            if ending.wait(30):
                ended.set()
        assert begun.wait(30)
        return trained(index)

    results = side_by_side(job, [1.0, 1.0], name="a", threads=2)
    assert next(results)[0] == 0
    results.close()  # type: ignore[attr-defined]
    assert ended.is_set()
