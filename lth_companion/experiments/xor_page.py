"""The networks of the XOR page (v1 section 2), trained here and now, and what is counted on them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from lth_companion import html
from lth_companion.experiments import xor
from lth_companion.experiments.study import Study
from lth_core.plot import Html
from lth_core.store import provenance as machine

RATES = (0.02, 0.1, 0.3, 1.0)  # learning rates to compare


@dataclass(frozen=True)
class Page:
    """The networks of both figures (rows of `xor.figure1` and `xor.figure2`), and what is counted on them."""

    study: Study
    lr: float
    iterations: int
    nets: pd.DataFrame
    tickets: pd.DataFrame
    made: Html

    @cached_property
    def rates(self) -> pd.DataFrame:
        return xor.rates(self.nets)

    @cached_property
    def ticket_rates(self) -> pd.DataFrame:
        return xor.rates(self.tickets)

    @cached_property
    def two(self) -> pd.DataFrame:
        """The two-unit networks."""
        return self.nets[self.nets.hidden == 2]

    @cached_property
    def share(self) -> pd.Series:
        """Of the two-unit networks, how many end in each of the four groups."""
        return self.two.cluster.value_counts(normalize=True).reindex(range(4), fill_value=0)

    @cached_property
    def at(self) -> pd.Series:
        """Measured percent of random networks, by success and hidden units."""
        return self.rates.set_index(["success", "hidden"]).measured

    @cached_property
    def left(self) -> pd.Series:
        """Measured percent of two-unit tickets, by strategy and success."""
        return self.ticket_rates[self.ticket_rates.hidden == 2].set_index(["strategy", "success"]).measured

    @cached_property
    def sweep(self) -> dict[float, pd.DataFrame]:
        """Figure 1 at other learning rates."""
        return {rate: xor.figure1(self.study.trials, self.study.seed, rate, self.iterations) for rate in RATES}

    @cached_property
    def tickets_at(self) -> dict[float, pd.Series]:
        """Percent of two-unit tickets with zero loss at other learning rates, by strategy."""
        found = {}
        for rate in RATES:
            tickets = xor.figure2(self.study.trials, self.study.seed, rate, self.iterations)
            rows = xor.rates(tickets).query("hidden == 2 and success == 'zero'")
            found[rate] = rows.set_index("strategy").measured
        return found


def measure(study: Study, lr: float, iterations: int) -> Page:
    """Train the networks of both figures, and note who did."""
    xor.check(study.trials, lr, iterations)
    start = time.perf_counter()
    nets = xor.figure1(study.trials, study.seed, lr, iterations)
    tickets = xor.figure2(study.trials, study.seed, lr, iterations)
    seconds = time.perf_counter() - start
    command = (
        "papermill notebooks/v1_2_xor.ipynb out.ipynb"
        f" -p profile {study.profile} -p trials {study.trials} -p seed {study.seed}"
        f" -p lr {lr} -p iterations {iterations}"
    )
    made = html.provenance(
        command,
        networks=f"{len(nets) + (tickets.hidden < 10).sum():,}",
        commit=machine.provenance()["commit"],
        device="{device}, {cores} cores".format(**machine.device_details("numba")),
        engine="Numba on the CPU, 64 networks side by side, float32",
        seconds=f"{seconds:.1f} for Figures 1 and 2, compiling included",
        scale=f"{study.trials:,} trials, {iterations:,} iterations (paper: 1,000 and 10,000)",
    )
    return Page(study, lr, iterations, nets, tickets, made)


def provenance(page: Page) -> Html:
    """Who made the page's networks, unfolded."""
    return Html(page.made.text.replace("<details>", "<details open>"), "provenance")
