"""Cells and tickets as somebody else might hand them over."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save
from tiny import tiny_rows

from lth_companion.share import ticket_files
from lth_core import tickets
from lth_core.spec import Spec, from_dict
from lth_core.store import Store
from lth_core.store.cell import _pack, _unpack, digest, digest_arrays, key_of, own_digest


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store that an undisturbed run makes."""
    made = Store(tmp_path_factory.mktemp("whole") / "store")
    tickets.run(tiny_rows(), made, device="cpu")
    return made


@pytest.fixture
def forged(whole: Store, tmp_path: Path) -> Callable[..., Store]:
    """A store of one ticket, changed by someone who sets every checksum right."""
    ticket = next(s for s in tiny_rows() if s.arm == "ticket" and s.round == 1)

    def forge(change: Callable[[dict, dict[str, bytes]], None], spec: Spec = ticket) -> Store:
        store = Store(tmp_path / "forged")
        shutil.rmtree(store.root, ignore_errors=True)
        folder = store.folder(key_of(spec))
        shutil.copytree(whole.folder(key_of(spec)), folder)
        cell = json.loads((folder / "cell.json").read_text())
        files = {n: (folder / n).read_bytes() for n in ("curves.parquet", "tensors.safetensors")}
        change(cell, files)
        for name, content in files.items():
            (folder / name).write_bytes(content)
            if isinstance(cell["files"], dict) and name in cell["files"]:
                cell["files"][name] = digest(content)
        cell.pop("digest")
        (folder / "cell.json").write_text(json.dumps({**cell, "digest": own_digest(cell)}))
        return store

    return forge


def with_masks(change: Callable[[dict[str, np.ndarray]], object]) -> Callable[[dict, dict[str, bytes]], None]:
    """Other masks in a cell, with every digest of them right and weights that fit them."""

    def work(cell: dict, files: dict[str, bytes]) -> None:
        masks, weights = _unpack(load(files["tensors.safetensors"]), from_dict(cell["spec"]))
        change(masks)
        files["tensors.safetensors"] = save(_pack(masks, weights))
        cell["made"]["masks"] = digest_arrays(masks)

    return work


def tensors(header: dict, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


@pytest.fixture(scope="module")
def exported(whole: Store, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A ticket's file as `export` writes it."""
    spec = next(s for s in tiny_rows() if s.arm == "ticket" and s.round == 1)
    return ticket_files.write(ticket_files.ticket(spec, whole), tmp_path_factory.mktemp("exported")).read_bytes()


def opened(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and tensors of a safetensors file."""
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size]), content[8 + size :]
