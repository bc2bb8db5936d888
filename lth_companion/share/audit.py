"""Can a stored number be measured again? Train the network once more and compare curve and mask."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lth_core import prerequisites, results, starts, tickets
from lth_core.data import EVALUATED, load
from lth_core.engines import choose
from lth_core.errors import UsageError
from lth_core.models import Network
from lth_core.spec import Spec
from lth_core.store import Store
from lth_core.store.cell import digest_arrays, key_of


@dataclass(frozen=True)
class Verdict:
    """How a network trained again compares with what is stored.

    - `same_start`: initial weights and mask are bit for bit those stored
    - `rebuilt`: its chain was trained again, because its masks are not published; its start need not be the stored one
      where another version of an engine, or another machine, made the chain. That is still no agreement
    - `first_difference`: largest relative difference in loss at the first evaluation after training began
    - `test_difference`: mean difference in test accuracy over the last quarter of the evaluations, and `allowed`
    - `odd`: columns that no second training explains: where two of the three losses are the same to the last bit, so is
      the network, and the other four columns are the same too; accuracies on training and validation images are
      compared as those on test images
    """

    key: str
    round: int
    arm: str
    trial: int
    engine: str
    stored_engine: str
    same_start: bool
    rebuilt: bool
    identical: bool
    first_difference: float
    test_difference: float
    allowed: float
    odd: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        near = self.first_difference < FIRST and self.test_difference <= self.allowed and not self.odd
        return self.same_start and (self.identical or near)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "agrees": self.agrees}


# Engines add numbers in different orders. After 100 iterations that has moved losses by less than FIRST relative;
# later the trajectories part as two seeds of batch order would, so that only accuracies can be compared.
FIRST = 0.02
BITS = 1e-4  # what the order of additions moves at most in numbers of one and the same network


def allowed_difference(accuracy: float, n: int) -> float:
    """Four standard errors of the difference between two independent accuracies measured on `n` images."""
    p = min(max(accuracy, 1 / n), 1 - 1 / n)
    return float(4 * np.sqrt(2 * p * (1 - p) / n))


def odd_columns(old: pd.DataFrame, again: dict[str, np.ndarray], dataset: str) -> tuple[str, ...]:
    """Columns of two curves at the same iterations that no second training explains: see `Verdict`."""
    losses = [c for c in again if c.endswith("loss")]
    equal = [(old[c].to_numpy() == again[c]) | (old[c].isna().to_numpy() & np.isnan(again[c])) for c in losses]
    same = np.sum(equal, axis=0) >= 2
    odd = []
    for c, values in again.items():
        least = 1e-6 if c in losses else 1  # an image at the edge may fall to either side
        if not np.allclose(old[c].to_numpy()[same], values[same], rtol=BITS, atol=least, equal_nan=True):
            odd.append(c)
    tail = max(1, len(old) // 4)
    for part, n in EVALUATED[dataset].items():
        column = f"{part}_correct"
        ours, theirs = float(old[column].iloc[-tail:].mean()) / n, float(again[column][-tail:].mean()) / n
        if abs(ours - theirs) > allowed_difference(theirs, n) and column not in odd:
            odd.append(column)
    return tuple(odd)


def start_of(spec: Spec, source: results.Source, scratch: Store, **how: Any) -> tuple[Network, bool]:
    """The network as it stood before training, from stored or published masks; else, and then True, by training its
    chain again."""
    if not spec.grown:
        return starts.network(spec), False
    if source.exact:
        return tickets.from_store(spec, source), False
    before = prerequisites.needs(spec, source)
    tickets.run(before, scratch, **how)
    return tickets.from_store(spec, scratch, source), bool(before)


def audit(
    spec: Spec,
    source: results.Source,
    scratch: Store,
    *,
    data_dir: str | Path | None = None,
    device: str = "auto",
    engine: str = "auto",
    iterations: int = 0,
) -> Verdict:
    """Train one stored network again (its first `iterations`, or all of them) and compare."""
    how = dict(data_dir=data_dir, device=device, engine=engine)
    network, rebuilt = start_of(spec, source, scratch, **how)
    made = results.table([spec], source).iloc[0]
    same_start = digest_arrays(network.weights) == made["initial"] and digest_arrays(network.masks) == made["masks"]
    stored = results.curves([spec], source).set_index("iteration").drop(columns="key")
    if iterations and iterations < stored.index[1]:
        raise UsageError(
            f"iterations = {iterations}: the first kept evaluation of {key_of(spec)} is at {stored.index[1]}, "
            "so give at least that many."
        )
    short = replace(spec, iterations=iterations) if iterations else spec
    ((_, trained),) = choose.train_all(
        [Network(short, network.weights, network.masks)], load(spec.dataset, data_dir), device=device, engine=engine
    )
    again = {c: v for c, v in trained.curves.items() if c != "iteration"}
    at = {int(i): k for k, i in enumerate(trained.curves["iteration"])}
    common = [i for i in stored.index if i in at]
    pick = [at[i] for i in common]
    old = stored.loc[common]
    again = {c: values[pick] for c, values in again.items()}
    identical = all(np.array_equal(old[c].to_numpy(), again[c], equal_nan=True) for c in again)
    losses = ("train_loss", "val_loss", "test_loss")
    first = max(abs(again[c][1] - old[c].iat[1]) / max(abs(old[c].iat[1]), 1e-6) for c in losses)
    n = EVALUATED[spec.dataset]["test"]
    tail = max(1, len(common) // 4)
    difference = abs(float(again["test_correct"][-tail:].mean() - old["test_correct"].iloc[-tail:].mean())) / n
    return Verdict(
        key=key_of(spec), round=spec.round, arm=spec.arm, trial=spec.trial, engine=trained.engine,
        stored_engine=str(made["engine"]), same_start=same_start, rebuilt=rebuilt, identical=identical,
        first_difference=float(first), test_difference=difference,
        allowed=allowed_difference(float(old["test_correct"].iat[-1]) / n, n),
        odd=odd_columns(old, again, spec.dataset),
    )  # fmt: skip
