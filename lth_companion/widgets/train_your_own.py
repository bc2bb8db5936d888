"""The one control that needs a kernel: train a ticket of your own on the sparse engine, in seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets as w
import pandas as pd

from lth_companion.experiments.study import Study
from lth_companion.figures.vocabulary import AXES, NAMES, iterative, of_arm
from lth_core import data, plot, starts
from lth_core.analyse import summary
from lth_core.data import EVALUATED
from lth_core.engines.sparse import engine as sparse
from lth_core.errors import UsageError
from lth_core.models import Network, Trained
from lth_core.plot import Html
from lth_core.prune import density
from lth_core.spec import Spec

STEPS = [500, 1_000, 2_000, 4_000, 10_000, 20_000, 50_000]  # iterations to choose from


def rows(
    dataset: str = "digits", rate: float = 0.2, rounds: int = 12, lr: float = 1.2e-3, iterations: int = 2_000,
    trial: int = 0, seed: int = 0,
) -> list[tuple[Spec, ...]]:  # fmt: skip
    """One chain of rounds: for each round the ticket and, from round 1, one reinitialised copy."""
    if dataset not in ("digits", "mnist"):
        raise UsageError(f"dataset = {dataset!r} does not exist; allowed: digits, mnist.")
    every = max(20, iterations // 100)
    base = Spec(
        dataset=dataset, lr=lr, iterations=iterations // every * every, eval_every=every, trial=trial, seed=seed
    ).at_round(0)
    chain: list[tuple[Spec, ...]] = [(base,)]
    for r in range(1, rounds + 1):
        ticket = base.at_round(r, prune_fc=rate, prune_out=rate / 2)
        chain.append((ticket, ticket.at_round(r, arm="reinit")))
    return chain


def grow(
    chain: list[tuple[Spec, ...]],
    source: data.Dataset,
    progress: Callable[[str, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Iterator[tuple[Spec, Trained]]:
    """Train round after round, each ticket cut from the one before; yields every network as it is done.

    Ends early, without the round at work, once `stop()` is true."""
    found: Network | None = None
    for specs in chain:
        networks = [starts.network(s, found) for s in specs]
        done = dict(sparse.train(networks, source, progress=progress, stop=stop))
        if len(done) < len(networks):
            return
        for i, network in enumerate(networks):
            yield network.spec, done[i]
        found = Network(specs[0], done[0].weights, networks[0].masks)  # the ticket as training left it


def row(spec: Spec, trained: Trained) -> dict[str, Any]:
    """A network as a row of results: round, arm, density and `analyse.summary`."""
    fields = {"round": spec.round, "arm": spec.arm, "density": density(spec), "trial": spec.trial}
    return {**fields, "seconds": trained.seconds, **summary(pd.DataFrame(trained.curves), spec.dataset)}


def found(
    dataset: str = "digits", *, rate: float = 0.2, trials: int = 1, seed: int = 0, data_dir: str | None = None
) -> pd.DataFrame:
    """One chain a trial, trained now, as rows of results."""
    source = data.load(dataset, data_dir)
    chains = [rows(dataset=dataset, rate=rate, trial=t, seed=seed) for t in range(trials)]
    return pd.DataFrame([row(*one) for chain in chains for one in grow(chain, source)])


def draw(
    own: pd.DataFrame, dataset: str, published: pd.DataFrame | None = None, *, title: str = "", name: str = "your-own"
) -> Html:
    """Accuracy and early stopping against size: `own` networks in full colour, the published ones faint behind them."""
    fig, axes = plot.canvas(1, 2, height=3.4)
    faint: dict[str, Any] = {"alpha": 0.35, "marker": ""}
    layers = [(own, {}, "")] if published is None else [(own, {}, ""), (published, faint, ", published on MNIST")]
    for ax, column in zip(axes, ("stop_test", "stop_iteration"), strict=True):
        for arm in ("ticket", "reinit"):
            for table, look, whose in layers:
                one = of_arm(table, arm).groupby("density")[column].mean().sort_index(ascending=False)
                label = NAMES[arm] + whose
                plot.line(ax, 100 * one.index, one.to_numpy(), arm=arm, label=label, **look)
        ax.set_ylabel(AXES[column])
        plot.percent_axis(ax, sorted({round(100 * d, 3) for table, *_ in layers for d in table["density"]}))
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    least = own["density"].min()
    means = own[own["density"] == least].groupby("arm", sort=False)["stop_test"].mean()
    said = f"At {100 * least:.1f}% of the weights: {', '.join(f'{NAMES[a]} {m:.1%}' for a, m in means.items())}."
    scale = f"{EVALUATED[dataset]['test']:,} test images of {dataset}; trials: {own['trial'].nunique()}."
    alt = f"Test accuracy at early stopping and early-stopping iteration against percent of weights remaining. {said}"
    title = title or "<strong>Your ticket.</strong>"
    return plot.show(fig, name=name, alt=alt, caption=f"{title} {said} {scale}")


class TrainYourOwn(w.VBox):
    """Settings, a progress bar, a cancel button, and the figure that grows while the sparse engine trains.

    Values are ordinary ipywidgets: `panel.rate.value = 0.5`. `panel.table` has the networks trained so far;
    `panel.wait()` returns when the training at work has ended."""

    def __init__(self, dataset: str = "digits", data_dir: str = "", seed: int = 0) -> None:
        self.data_dir, self.seed = data_dir or None, seed
        wide: dict[str, Any] = {"style": {"description_width": "9em"}, "layout": {"width": "100%", "max_width": "34em"}}
        options = ["digits", *(["mnist"] if data.available("mnist", self.data_dir) else [])]
        self.dataset = w.ToggleButtons(options=options, value=dataset, description="data", style=wide["style"])
        self.rate = w.FloatSlider(
            0.2, min=0.1, max=0.8, step=0.05, description="pruned per round", readout_format=".0%", **wide
        )
        self.rounds = w.IntSlider(12, min=1, max=27, description="rounds", **wide)
        self.lr = w.FloatLogSlider(
            1.2e-3, min=-4.5, max=-1.5, step=0.1, description="learning rate", readout_format=".1e", **wide
        )
        self.iterations = w.SelectionSlider(options=STEPS, value=2_000, description="iterations", **wide)
        self.train = w.Button(description="Train", button_style="primary", icon="play")
        self.cancel = w.Button(description="Cancel", disabled=True, icon="stop")
        self.bar = w.IntProgress(0, description="", layout={"width": "100%", "max_width": "34em"})
        self.says = w.HTML("Choose, then press <em>Train</em>.")
        self.figure = w.HTML()
        self.table = pd.DataFrame()
        self._ending, self._thread = threading.Event(), threading.Thread()
        self.train.on_click(lambda _: self.start())
        self.cancel.on_click(lambda _: self._ending.set())
        settings = [self.dataset, self.rate, self.rounds, self.lr, self.iterations]
        super().__init__([*settings, w.HBox([self.train, self.cancel]), self.bar, self.says, self.figure])

    def start(self) -> None:
        """Train with the chosen settings, in the background."""
        if self._thread.is_alive():
            return
        self._ending.clear()
        self.train.disabled, self.cancel.disabled = True, False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def wait(self, seconds: float | None = None) -> None:
        self._thread.join(seconds)

    def _work(self) -> None:
        try:
            settings = {n: getattr(self, n).value for n in ("dataset", "rate", "rounds", "lr", "iterations")}
            chain = rows(**settings, seed=self.seed)
            self.bar.value, self.bar.max = 0, sum(s.iterations for specs in chain for s in specs)
            self.says.value = "Reading the data, compiling the engine once …"
            self.table, behind = pd.DataFrame(), published() if settings["dataset"] == "mnist" else None
            found: list[dict[str, Any]] = []
            for spec, trained in grow(
                chain, data.load(settings["dataset"], self.data_dir), self._tick, self._ending.is_set
            ):
                found.append(row(spec, trained))
                self.table = pd.DataFrame(found)
                self.says.value = f"Round {spec.round} of {len(chain) - 1}: {100 * density(spec):.1f}% of the weights."
                if spec is chain[spec.round][-1]:
                    self.figure.value = draw(self.table, settings["dataset"], behind).text
            done = f"{len(found)} networks in {sum(r['seconds'] for r in found):.1f} s of training."
            self.says.value = f"Cancelled: {done}" if self._ending.is_set() else f"Done: {done}"
        except Exception as error:  # a thread has nobody else to tell
            self.says.value = f"<strong>{type(error).__name__}:</strong> {error}"
        finally:
            self.train.disabled, self.cancel.disabled = False, True

    def _tick(self, message: str, iterations: int) -> None:
        self.bar.value += iterations


def published() -> pd.DataFrame | None:
    """ICLR Figure 4's iterative networks as published, to draw behind one's own; None while nothing is published."""
    study = Study(notebook="iclr_2_lenet")
    return None if study.lacking("iclr-fig04") else iterative(study.table("iclr-fig04"))
