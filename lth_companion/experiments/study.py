"""What a notebook asks for: a section's networks at a profile, from results/ or a store that trains what it lacks."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from lth_companion.experiments import catalogue
from lth_core import data, results
from lth_core.errors import UsageError
from lth_core.spec import Spec, numeric
from lth_core.store import Store
from lth_core.store.cell import describe


def store_folder(root: str | Path | None = None) -> Path:
    """Where trainings are kept: `root`, else `$LTH_STORE`, else `_store` in the working folder."""
    return Path(root or os.environ.get("LTH_STORE") or "_store")


def _is_folder(name: str) -> bool:
    try:
        return Path(name).expanduser().is_dir()
    except (OSError, RuntimeError, ValueError):  # not readable, an unknown user's home, a character no path has
        return False


@dataclass(frozen=True, kw_only=True)
class Study:
    """One notebook's experiment. Tables and curves are tidy: one row a network, one row an evaluation."""

    notebook: str
    profile: str = "published"
    trials: int = 0  # 0: the profile's own number
    device: str = "auto"
    seed: int = 0
    data_dir: str = ""
    dataset: str = "auto"

    def __post_init__(self) -> None:
        if self.profile not in catalogue.PROFILES:
            raise UsageError(f"profile = {self.profile!r} does not exist; allowed: {', '.join(catalogue.PROFILES)}.")
        if self.device not in ("auto", "cpu", "cuda"):
            raise UsageError(f"device = {self.device!r} does not exist; allowed: auto, cpu, cuda.")
        allowed = ("auto", *(dict.fromkeys(f.paper.dataset for f in self._figures) or ("mnist",)), "digits")
        if self.dataset not in allowed:
            raise UsageError(f"dataset = {self.dataset!r} does not exist; allowed: {', '.join(allowed)}.")
        for name in ("trials", "seed"):  # the command line makes a fraction of 1e3
            object.__setattr__(self, name, numeric(name, getattr(self, name), int))
        if isinstance(self.data_dir, int):  # and a number of a folder's name
            object.__setattr__(self, "data_dir", str(self.data_dir))
        if not 0 <= self.trials <= 1000:
            raise UsageError(f"trials = {self.trials!r} must be from 1 to 1000, or 0 for the profile's own.")
        if self.seed < 0:
            raise UsageError(f"seed = {self.seed!r} must be 0 or a positive whole number.")
        if not isinstance(self.data_dir, str) or (self.data_dir and not _is_folder(self.data_dir)):
            raise UsageError(f"data_dir = {self.data_dir!r} is no folder; give one that exists, or leave it empty.")
        self._check_data()

    def _check_data(self) -> None:
        """Refuse a folder that was named and lacks the data, where the digits would be used in their place."""
        if not self.data_dir or self.profile not in catalogue.LIVE or self.dataset != "auto":
            return
        for own in dict.fromkeys(catalogue.scale_of(f, self.profile).dataset for f in self._figures):
            if own in data.KNOWN and not data.available(own, self.data_dir):
                facts, there = data.KNOWN[own], ""
                with suppress(OSError):
                    there = f" ({facts.wanted(data.folder(self.data_dir))})"
                raise UsageError(
                    f"data_dir = {self.data_dir!r} has no {facts.title}{there}: name another folder, or give "
                    "dataset = 'digits'."
                )

    @property
    def _figures(self) -> list[catalogue.Figure]:
        return [f for f in catalogue.FIGURES.values() if f.notebook == self.notebook]

    def _asked(self, figure: catalogue.Figure | None = None) -> str:
        """`dataset` for `catalogue`; "auto" is what the profile says, in smoke and quick only where it is at hand."""
        if self.dataset != "auto":
            return self.dataset
        own = catalogue.scale_of(figure, self.profile).dataset if figure else "mnist"
        at_hand = self.profile not in catalogue.LIVE or data.available(own, self.data_dir or None)
        return "own" if at_hand else "digits"

    @property
    def option(self) -> str:
        """`dataset` as `catalogue` and `claims` take it."""
        return self._asked(self._figures[0] if self._figures else None)

    def data(self, figure: str) -> str:
        """The data set that a figure's networks are trained on."""
        return self.scale(figure).dataset

    @cached_property
    def on(self) -> str:
        """The data set of the page's first figure, or of a page without figures."""
        if self._figures:
            return self.data(self._figures[0].id)
        return {"own": "mnist"}.get(self.option, self.option)

    @cached_property
    def source(self) -> results.Source:
        """Where the networks come from; outside `published`, whatever the store lacks is trained now."""
        if self.profile == "published":
            return results.Published()
        from lth_core import tickets

        store = Store(store_folder())
        bar: list[tqdm] = []

        def begin(cells: int, iterations: int) -> None:
            if cells:
                # Text, that `papermill --log-output` passes on; a bar that is a widget is seen by nobody there.
                words = dict(unit="it", unit_scale=True, desc=f"{cells} network{'s' * (cells != 1)}", mininterval=2)
                bar.append(tqdm(total=iterations, **words))

        def progress(message: str, iterations: int) -> None:
            bar[0].set_postfix_str(message, refresh=False)
            bar[0].update(iterations)

        wanted = self.rows(self.notebook)
        tickets.run(wanted, store, data_dir=self.data_dir or None, device=self.device, begin=begin, progress=progress)
        for b in bar:
            b.close()
        return store

    def rows(self, figure: str) -> list[Spec]:
        """The networks of a figure, or of all figures of a notebook, each once."""
        made: dict[Spec, None] = {}
        for one in catalogue.figures_of(figure):
            asked = self._asked(one)
            rows = catalogue.rows(one.id, self.profile, trials=self.trials, seed=self.seed, dataset=asked)
            made |= dict.fromkeys(rows)
        return list(made)

    def scale(self, figure: str) -> catalogue.Scale:
        one = catalogue.FIGURES[figure]
        return catalogue.scale_of(one, self.profile, trials=self.trials, seed=self.seed, dataset=self._asked(one))

    def table(self, figure: str) -> pd.DataFrame:
        """One row per network of a figure: its spec, density, summary and provenance."""
        return results.table(self.possible(figure), self.source)

    def curves(self, figure: str) -> pd.DataFrame:
        """One row per evaluation of each network of a figure, with the spec's columns."""
        rows = self.possible(figure)
        spec = pd.DataFrame([describe(s) for s in rows])
        return results.curves(rows, self.source).merge(spec, on="key")

    def lacking(self, figure: str) -> int:
        """Networks of a figure that results/ does not hold: 0 in profiles that train what they lack."""
        if self.profile != "published":
            return 0
        return sum(not self.source.has(s) for s in self.possible(figure))

    def possible(self, figure: str) -> list[Spec]:
        """A figure's rows without those that a diverged parent made impossible."""
        return results.possible(self.rows(figure), self.source)

    @property
    def command(self) -> str:
        """The line that trains this section at the paper's scale and draws it."""
        return f"papermill notebooks/{self.notebook}.ipynb out.ipynb -p profile paper"
