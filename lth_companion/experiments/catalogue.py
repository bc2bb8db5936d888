"""Every figure of both papers as a table of rows, at four scales. A profile is rows, not an `if`."""

from __future__ import annotations

import difflib
from dataclasses import replace

from lth_companion.experiments import conv_vgg_resnet, lenet
from lth_companion.experiments.lenet import QUICK
from lth_companion.experiments.scale import Figure, Rows, Scale, iterative, one_shot, rounds_down_to
from lth_core.data import KNOWN
from lth_core.errors import UsageError
from lth_core.spec import Spec

__all__ = [
    "FIGURES", "NOTEBOOKS", "Figure", "Rows", "Scale", "figures_of", "further", "iterative", "one_shot",
    "rounds_down_to", "rows",
]  # fmt: skip

PROFILES = ("published", "smoke", "quick", "paper")
LIVE = ("smoke", "quick")  # small enough for a reader's machine, and for data that come along where the papers' are not
ALONG = {d.name: d.stand_in for d in KNOWN.values() if d.stand_in}  # what comes along, in place of what must be fetched

FIGURES = {f.id: f for f in [*lenet.figures(), *conv_vgg_resnet.figures()]}
NOTEBOOKS = tuple(dict.fromkeys(f.notebook for f in FIGURES.values()))


def figures_of(name: str) -> list[Figure]:
    """The figures that a name stands for: a figure's id, a notebook, or "all"."""
    if name in FIGURES:
        return [FIGURES[name]]
    found = [f for f in FIGURES.values() if name in ("all", f.notebook)]
    if not found:
        near = difflib.get_close_matches(name.lower(), [*NOTEBOOKS, *FIGURES], n=3, cutoff=0.7)
        near = near or [n for n in NOTEBOOKS if name and n.startswith(f"{name.lower()}_")]
        meant = (
            f": perhaps {' or '.join(near)}"
            if len(near) in (1, 2, 3)
            else f"; allowed: {', '.join(['all', *NOTEBOOKS])}"
        )
        raise UsageError(f"figure {name!r} does not exist{meant}, or a figure's name, which `status` lists.")
    return found


def scale_of(figure: Figure, profile: str, *, trials: int = 0, seed: int = 0, dataset: str = "own") -> Scale:
    """The scale of a figure in a profile; `trials` = 0 keeps the profile's own number.

    `dataset`: "own" as the profile says, "mnist" or "cifar10" the papers' data (each figure has its own), "digits"
    images that come along, in the size that the figure's networks take."""
    if profile not in PROFILES:
        raise UsageError(f"profile = {profile!r} does not exist; allowed: {', '.join(PROFILES)}.")
    if dataset not in ("own", "digits", *ALONG):
        raise UsageError(f"dataset = {dataset!r} does not exist; allowed: own, {', '.join(ALONG)}, digits.")
    quick = figure.quick or QUICK
    own = {"paper": figure.paper, "published": figure.published, "quick": quick, "smoke": smoke(quick)}[profile]
    scale = own or figure.paper
    if not 0 <= trials <= 1000:
        raise UsageError(f"trials = {trials} must be from 1 to 1000, or 0 for the profile's own number.")
    papers = figure.paper.dataset
    data = scale.dataset if dataset == "own" else ALONG[papers] if dataset == "digits" else papers
    return replace(scale, seed=seed, dataset=data, trials=trials or scale.trials)


def smoke(quick: Scale) -> Scale:
    """Profile smoke: one trial of quick's networks, for a twentieth of its iterations or up to a first evaluation. It
    shows that all of it runs, and nothing about networks."""
    between = quick.eval_every or Spec.eval_every
    return replace(quick, iterations=max(between, quick.iterations // 20 // between * between), trials=1)


def rows(name: str, profile: str = "paper", *, trials: int = 0, seed: int = 0, dataset: str = "own") -> list[Spec]:
    """The networks of a figure (or of all figures of a notebook), each once."""
    made: dict[Spec, None] = {}
    for figure in figures_of(name):
        scale = scale_of(figure, profile, trials=trials, seed=seed, dataset=dataset)
        fewer = figure.quick_rows if profile in LIVE else figure.published_rows if profile == "published" else None
        made.update(dict.fromkeys((fewer or figure.rows)(scale)))
    return list(made)


def further(name: str) -> dict[int, list[Spec]]:
    """A figure's networks in trials that the paper does not have, by trial (see `Figure.further`)."""
    figure, found = FIGURES[name], dict[int, list[Spec]]()
    if figure.further:
        for row in dict.fromkeys(figure.rows(scale_of(FIGURES[figure.further], "published"))):
            if row.trial >= figure.paper.trials:
                found.setdefault(row.trial, []).append(row)
    return found


def smaller(figure: str) -> bool:
    """Whether results/ hold a figure at another scale than the paper's."""
    return FIGURES[figure].published is not None or FIGURES[figure].published_rows is not None
