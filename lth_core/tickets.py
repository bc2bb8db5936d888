"""Rounds: the runner that trains what a store lacks, after what that needs (`prerequisites`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lth_core.data import load
from lth_core.engines.choose import Tick, check_how, train_all
from lth_core.errors import UsageError
from lth_core.models import Network
from lth_core.prerequisites import needs, parent, rewound_to, spared, with_ancestors
from lth_core.results import Source
from lth_core.spec import Spec
from lth_core.starts import Diverged, network, start
from lth_core.store import Store
from lth_core.store.checkpoint import Shelf


def from_store(spec: Spec, store: Source, known: Source | None = None) -> Network:
    """The network of a row, from the `known` masks of its ticket or what it needs in `store`, which is exact."""
    if known and spared(spec, known):
        return start(spec, known.masks(spec))
    above, base = parent(spec), rewound_to(spec)
    found = Network(above, store.trained(above), store.masks(above)) if above else None
    return network(spec, found, store.trained(base) if base else None)


@dataclass
class Report:
    """What a run did: rows trained now, already there, still missing because it was stopped, and those that cannot
    be made because an earlier round diverged (row -> why)."""

    trained: list[Spec] = field(default_factory=list)
    stored: int = 0
    missing: list[Spec] = field(default_factory=list)
    refused: dict[Spec, str] = field(default_factory=dict)


def shard_of(rows: list[Spec], index: int, count: int) -> list[Spec]:
    """Every `count`-th chain of rounds from the `index`-th (1-based): a chain is never split."""
    if not 1 <= index <= count:
        raise UsageError(f"shard {index}/{count} does not exist: give 1/{count} to {count}/{count}.")
    chains: dict[Spec, int] = {}
    for s in rows:
        chains.setdefault(s.at_round(0), len(chains))
    return [s for s in rows if chains[s.at_round(0)] % count == index - 1]


def run(
    rows: Iterable[Spec],
    store: Store,
    *,
    data_dir: str | Path | None = None,
    device: str = "auto",
    engine: str = "auto",
    budget: float | None = None,
    progress: Tick | None = None,
    begin: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
    known: Source | None = None,
) -> Report:
    """Train every row that `store` lacks, and what those need; may be stopped and run again at any moment.

    - `budget`: seconds after which it stops at the last finished network
    - `begin(cells, iterations)`: told once what is to be trained; `progress` then counts iterations down
    - `stop()`: once true, it stops there too
    - `known`: masks to start from, instead of training the chains that found them
    """
    check_how(device, engine)
    deadline = time.monotonic() + budget if budget is not None else None

    def late() -> bool:
        return (deadline is not None and time.monotonic() > deadline) or (stop is not None and stop())

    todo = with_ancestors(rows, known)
    report, shelf = Report(), Shelf(store.root)
    missing = [s for s in todo if not store.has(s)]
    report.stored = len(todo) - len(missing)
    if begin:
        begin(len(missing), sum(s.iterations for s in missing))
    while missing and not late():
        ready = [s for s in missing if all(store.has(n) for n in needs(s, known))]
        ready = [s for s in ready if s.dataset == ready[0].dataset]
        with store.claim(ready) as mine:
            networks = []
            for s in mine:
                try:
                    networks.append(from_store(s, store, known))
                except Diverged as error:
                    report.refused[s] = str(error)
            if networks:
                data = load(networks[0].spec.dataset, data_dir)
                done = train_all(
                    networks, data, device=device, engine=engine, progress=progress, stop=late, shelf=shelf
                )
                for net, trained in done:
                    store.save(net, trained)
                    shelf.remove(net.spec)
                    report.trained.append(net.spec)
        if not mine:
            time.sleep(0.5)  # another runner trains what is ready
        for s in missing:  # in order of rounds: what a refused row would have led to is refused as well
            if lost := next((n for n in needs(s, known) if n in report.refused), None):
                report.refused[s] = report.refused[lost]
        missing = [s for s in missing if s not in report.refused and not store.has(s)]
    report.missing = missing
    return report
