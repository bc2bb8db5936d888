"""Trainings stopped halfway: what is kept goes on from where it says, or is refused by name."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from damaged_places import TICKET, unfinished
from strangers import opened, tensors
from tiny import tiny_rows

from lth_core.errors import StoreError
from lth_core.store.cell import key_of
from lth_core.store.checkpoint import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = Shelf(tmp_path)
    made.save(TICKET, unfinished(20))
    return made


def kept(shelf: Shelf) -> Path:
    return shelf.root / f"{key_of(TICKET)}.safetensors"


@pytest.mark.parametrize("changed", [{"iteration": "10"}, {"iteration": "200"}, {"seconds": "9"}, {"shapes": "{}"}])
def test_where_it_goes_on_is_under_the_seal(changed: dict, shelf: Shelf) -> None:
    header, body = opened(kept(shelf).read_bytes())
    header["__metadata__"].update(changed)
    kept(shelf).write_bytes(tensors(header, body))
    for read in (shelf.iteration, shelf.load):
        with pytest.raises(StoreError, match=r"is damaged: delete it"):
            read(TICKET)


def test_another_networks_file_is_refused(shelf: Shelf) -> None:
    other = next(s for s in tiny_rows() if s != TICKET)
    kept(shelf).rename(shelf.root / f"{key_of(other)}.safetensors")
    with pytest.raises(StoreError, match="is damaged"):
        shelf.iteration(other)


def test_what_earlier_versions_kept_is_used(shelf: Shelf) -> None:
    header, body = opened(kept(shelf).read_bytes())
    for name in ("seal", "shapes"):
        del header["__metadata__"][name]
    kept(shelf).write_bytes(tensors(header, body))
    found = shelf.load(TICKET)
    assert found is not None and found.iteration == 20
    assert np.array_equal(found.arrays["flat"], unfinished(20).arrays["flat"])


def test_a_pipe_is_not_waited_for(shelf: Shelf) -> None:
    kept(shelf).unlink()
    os.mkfifo(kept(shelf))
    with pytest.raises(StoreError, match="is damaged"):
        shelf.iteration(TICKET)


def test_metadata_that_are_no_texts_are_refused(shelf: Shelf) -> None:
    content = json.dumps({"__metadata__": {"iteration": 20}}).encode()
    kept(shelf).write_bytes(struct.pack("<Q", len(content)) + content)
    with pytest.raises(StoreError, match="is damaged"):
        shelf.load(TICKET)
