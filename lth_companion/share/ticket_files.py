"""Tickets as files that leave this project: one safetensors file each, readable with PyTorch or numpy alone.

Tensors of a file, for each layer NAME (weights `(out, in)`, as in a PyTorch state dict):
  NAME.weight, NAME.bias                    float32, what training starts from: 0 where pruned
  NAME.weight.mask                          bool, True where kept
  NAME.weight.trained, NAME.bias.trained    float32, after training (with --trained)
A layer with batch normalisation has no NAME.bias but NAME.norm.weight, .bias, .running_mean and .running_var.
Metadata: `format`, `key`, `spec` (JSON: every field of the row), `density`, what is stored of the training, `digest`
of all that.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from lth_core import prune, results
from lth_core.arms import ARMS
from lth_core.atomic_files import replaced
from lth_core.errors import StoreError, UsageError, one_line
from lth_core.models import Masks, Network, Parameters, layers
from lth_core.prerequisites import parent
from lth_core.spec import Spec, from_dict
from lth_core.starts import start, steps_of
from lth_core.store.cell import UNREADABLE, digest_of_ticket, key_of, listed, plain, read_bytes, size_of, taken
from lth_core.untrusted_text import faults

FORMAT = "lth-ticket-1"
MOST_HEADER = 1_000_000  # bytes of a file's header that are read before anything else is believed
MOST_SPEC = 5_000  # characters of a row as JSON: no other text of a header is as long
NUMBERS = ("stop_iteration", "stop_test", "end_test")
FACTS = (*NUMBERS, "commit", "engine")  # of the training, as text


@dataclass(frozen=True)
class Ticket:
    """A file's content. `trained` is empty where the file has none."""

    network: Network
    trained: Parameters
    facts: dict[str, str]

    def __str__(self) -> str:
        s = self.network.spec
        return f"{key_of(s)} {s.arm} round {s.round} trial {s.trial}, {100 * prune.density(s):.3g}% of the weights"


def portable(spec: Spec) -> bool:
    """Whether a row's start follows from its ticket's masks and its own draws, so that a file can be checked.

    Of the mistakes, those that only choose other masks still start from initial values ("signed", "one_threshold",
    "rewound_first", "other_trial"). The others start from other values or hold no mask."""
    from_its_masks = ARMS[spec.arm].mask == "ticket" and spec.arm != "continued"
    return steps_of(spec).starts_from_initial and not spec.rewind and from_its_masks


def ticket(spec: Spec, source: results.Source, *, trained: bool = False) -> Ticket:
    """A measured network as it stood before training, from its masks; nothing is trained for it."""
    if not source.has(spec):
        raise StoreError(f"{key_of(spec)} is not measured here: see `python -m lth_core status`.")
    if not portable(spec):
        raise UsageError(
            f"{key_of(spec)} cannot be exported: its weights or masks do not follow from its ticket's masks."
        )
    if trained and spec.arm != "ticket":
        raise UsageError(f"trained weights are kept of tickets alone, not of arm = {spec.arm!r}: leave out --trained.")
    network = start(spec, source.masks(spec))
    row = results.table([spec], source).iloc[0]
    after = results.trained(spec, source) if trained else {}
    return Ticket(network, after, {name: str(row[name]) for name in FACTS})


def pack(ticket: Ticket) -> bytes:
    """The file of a ticket; equal tickets give equal bytes."""
    spec, network = ticket.network.spec, ticket.network
    tensors: dict[str, np.ndarray] = {n: np.ascontiguousarray(w, np.float32) for n, w in network.weights.items()}
    tensors |= {f"{n}.mask": np.ascontiguousarray(m) for n, m in network.masks.items()}  # others are written scrambled
    tensors |= {f"{n}.trained": np.ascontiguousarray(w) for n, w in ticket.trained.items()}
    about = {"format": FORMAT, "key": key_of(spec), "spec": json.dumps(asdict(spec), sort_keys=True)}
    about |= {"density": repr(prune.density(spec)), **ticket.facts}
    return _in_order(save_tensors(tensors, {**about, "digest": digest_of_ticket(about, tensors)}))


def _in_order(data: bytes) -> bytes:
    """A safetensors file with its metadata sorted: the library writes it in another order each time."""
    end = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:end])
    header = {"__metadata__": dict(sorted(header.pop("__metadata__").items())), **header}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    return struct.pack("<Q", len(text)) + text + data[end:]


def write(ticket: Ticket, folder: Path) -> Path:
    """Put the ticket's file, named by its key, into a folder; whole or not at all."""
    file = folder / f"{key_of(ticket.network.spec)}.safetensors"
    with replaced(file) as partial:
        partial.write_bytes(pack(ticket))
    return file


def read(file: Path) -> Ticket:
    """A file that is what `write` makes; else `StoreError`, in one sentence. Trusts nothing: files come from anyone."""
    try:
        spec, about = _header(file)
        if not portable(spec):
            row = f"arm = {spec.arm!r} with search = {spec.search!r} and rewind = {spec.rewind}"
            raise ValueError(f"{row} does not start from initial weights under a ticket's masks")
        parameters, _ = size_of(spec)
        tensors = load_tensors(read_bytes(file, 10 * parameters + MOST_HEADER))
        found = digest_of_ticket(about, tensors)
        masks, weights = _parts(tensors, spec, "")
        trained = _parts(tensors, spec, ".trained")[1] if any(n.endswith(".trained") for n in tensors) else {}
        if tensors:
            raise ValueError(f"{listed(tensors)} belong to no ticket of {spec.arch}")
        if not prune.planned(spec, masks):
            raise ValueError(f"its masks do not keep what round {spec.round} keeps")
        network = start(spec, masks)
        if odd := [n for n, w in network.weights.items() if w.tobytes() != weights[n].tobytes()]:
            raise ValueError(f"{odd[0]} is not what its row draws")
        if any((trained[n][~m] != 0).any() for n, m in masks.items() if trained):
            raise ValueError("its trained weights are not 0 where nothing is kept")
        if about.get("digest", found) != found:  # files of earlier versions have none
            raise ValueError("it does not have its checksum")
    except UNREADABLE as error:
        said = one_line(" ".join(str(error).split()))[:300]
        raise StoreError(
            f"{file} is no ticket to be trusted ({said or type(error).__name__}): export it again."
        ) from error
    return Ticket(network, trained, {name: about[name] for name in FACTS if name in about})


def agreement(ticket: Ticket, source: results.Source) -> bool | None:
    """Whether the ticket's masks are those that `source` has, or keep nothing that the round before had pruned there;
    None where it has neither."""
    spec = ticket.network.spec
    if not source.has_masks(spec):
        above = parent(spec)
        if above is None or not above.round or not source.has_masks(above):
            return None
        before = source.masks(above)
        return None if all((before[n] | ~m).all() for n, m in ticket.network.masks.items()) else False
    own = start(spec, source.masks(spec)).masks
    return all(np.array_equal(own[n], m) for n, m in ticket.network.masks.items())


def _header(file: Path) -> tuple[Spec, dict[str, str]]:
    """The row that a file says it is, and all that it says of itself, from its first bytes alone."""
    if file.is_symlink() or not file.is_file():
        raise ValueError("no regular file")
    with open(file, "rb") as f:
        first = f.read(8)
        size = struct.unpack("<Q", first)[0] if len(first) == 8 else 0
        if not 2 <= size <= MOST_HEADER:
            raise ValueError("its header has no honest size")
        about = json.loads(f.read(size))["__metadata__"]
    if not isinstance(about, Mapping) or about.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    if not all(isinstance(text, str) and len(text) <= MOST_SPEC for text in about.values()):
        raise ValueError(f"its metadata hold other things than texts of at most {MOST_SPEC:,} characters")
    spec = from_dict(json.loads(about["spec"]))
    plain(spec)
    if about["key"] != key_of(spec):
        raise ValueError("its key is not that of its row")
    if odd := faults({name: text for name, text in about.items() if name not in ("spec", "key")}):
        raise ValueError(f"in its metadata, {odd}")
    for name in {"density", *NUMBERS} & set(about):
        if not re.fullmatch(r"[-+.\de]+|nan", about[name], flags=re.ASCII):
            raise ValueError(f"in its metadata, {name} is no number")
    if unknown := set(about) - {"format", "key", "spec", "density", "digest", *FACTS}:
        raise ValueError(f"its metadata have {listed(unknown)}, which no ticket has")
    return spec, dict(about)


def _parts(tensors: dict[str, np.ndarray], spec: Spec, after: str) -> tuple[Masks, Parameters]:
    """Masks and parameters of the row's architecture, taken out of `tensors`."""
    masks: Masks = {}
    weights: Parameters = {}

    take = partial(taken, tensors)
    for layer in layers(spec.arch, spec.dataset):
        weights[layer.weight] = take(layer.weight + after, np.float32, layer.shape)
        for vector in (*layer.vectors, *layer.statistics):
            weights[vector] = take(vector + after, np.float32, layer.shape[:1])
        if not after:
            masks[layer.weight] = take(f"{layer.weight}.mask", np.bool_, layer.shape)
    return masks, weights
