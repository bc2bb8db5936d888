"""How long trainings would take: LeNet's from the published ones; those of networks on images from multiplications, the
rates of the benchmark, on a CPU and on a GPU."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import pandas as pd

from lth_companion.experiments import catalogue, timings
from lth_core import results
from lth_core.data import EVALUATED
from lth_core.models import INPUTS, layers
from lth_core.prune import density
from lth_core.spec import Spec
from lth_core.store.cell import key_of
from lth_core.untrusted_text import shown

LENET = "lenet-300-100"
CONVS = ("conv-2", "conv-4", "conv-6")
BANDS = {"below 0.5%": 0.005, "0.5–2%": 0.02, "2–5%": 0.05, "5–20%": 0.2, "20–50%": 0.5, "above 50%": 1.0}  # upper ends
GPU = "one H100"  # how the benchmark calls the only GPU that was timed
BENCH_BATCH = 60  # of the benchmark's steps


@lru_cache
def multiplications(arch: str, dataset: str) -> int:
    """Multiply-adds of one image's forward pass through an unpruned network, without biases and normalisation."""
    side, total = INPUTS[dataset][-1], 0
    for layer in layers(arch, dataset):
        weights = int(np.prod(layer.shape))
        if len(layer.shape) == 2:
            total += weights
            continue
        after = side // layer.stride
        total += weights * after**2
        if layer.shortcut != "projected":  # lies beside the block's first convolution, which has the same stride
            side = {"max": after // 2, "mean": 1}.get(layer.pool, after)
    return total


def work(spec: Spec) -> float:
    """Multiply-adds of a training with its evaluations; backward counts as twice forward, masked weights as any."""
    images = 3 * spec.batch_size * spec.iterations + spec.evaluations * sum(EVALUATED[spec.dataset].values())
    return float(images) * multiplications(spec.arch, spec.dataset)


@lru_cache
def rate(precision: str) -> float:
    """Multiply-adds a second of the dense engine on the benchmark's CPU: the median of Conv-2, -4 and -6; NaN if it was
    not measured."""
    rows = timings.bench()[1].to_dict("records")
    found = [
        row["median"] * 3 * BENCH_BATCH * multiplications(row["arch"], "cifar10")
        for row in rows
        if row.get("precision") == precision and row["arch"] in CONVS and row["cohort"] == 1
    ]
    return float(np.median(found)) if found else float("nan")


def duration(seconds: float) -> str:
    """ "40 minutes", "7 hours", "12 days": two digits at most."""
    units = (("minute", 60, 90), ("hour", 3600, 48), ("day", 86_400, float("inf")))
    unit, size = next((unit, size) for unit, size, most in units if seconds < most * size)
    n = max(seconds / size, 1)
    n = round(n, min(0, 2 - len(str(int(n)))))
    return f"{n:,.0f} {unit}{'s' * (n != 1)}"


def estimate(rows: Iterable[Spec]) -> str:
    """What networks would take, in two sentences; nothing for fully connected ones, whose engine profits by zeros."""
    rows = [s for s in rows if len(INPUTS[s.dataset]) == 3]
    if not rows:
        return ""
    cpu = sum(work(s) / rate("bf16" if s.precision == "bf16" else "fp32") for s in rows)
    said = f"about {duration(cpu)} on the two CPU cores of the benchmark, by its rates" if np.isfinite(cpu) else ""
    fast = gpu_rates()
    timed = all(s.arch in fast for s in rows)
    there = duration(sum(s.iterations / fast[s.arch] for s in rows)) if timed else ""
    return f"Estimated: {said or 'no CPU was timed'}" + (
        f"; on one H100 {there} of training steps in bf16, as timed there, and evaluations." if timed else "."
    )


@lru_cache
def gpu_rates() -> dict[str, float]:
    """Steps of networks a second on the GPU that was timed, in the fastest way tried, by network."""
    rows = [row for row in timings.bench()[1].to_dict("records") if row["benchmark"].startswith(GPU)]
    return {arch: max(r["median"] for r in rows if r["arch"] == arch) for arch in {r["arch"] for r in rows}}


def gpu() -> str:
    """What the papers' networks would take on the GPU that was timed, training steps alone (Markdown)."""
    rates, asked = gpu_rates(), {s: None for f in catalogue.FIGURES if f.startswith("iclr") for s in catalogue.rows(f)}
    lines = ["| network | steps a second on one H100 | steps of the paper | hours |", "|---|---:|---:|---:|"]
    for arch in (*CONVS, "resnet-18", "vgg-19"):
        steps = sum(s.iterations for s in asked if s.arch == arch)
        if arch in rates:
            measured, hours = f"{rates[arch]:,.0f}", f"{steps / rates[arch] / 3600:,.0f}"
        else:
            measured, hours = "not timed", "–"
        lines.append(f"| {arch} | {measured} | {steps / 1e6:,.0f} M | {hours} |")
    return "\n".join(lines)


MEASURED = ("arch", "dataset", "precision", "density", "iterations", "seconds")  # columns that `speeds` reads
Speeds = dict[tuple[str, str, str], dict[int, float]]  # of a kind of network: iterations a second by band of density


def speeds(measured: pd.DataFrame) -> Speeds:
    """Iterations a second on one core, evaluations included: medians of the networks that were measured, by
    architecture, data and precision and by the band of their density.

    - `measured`: columns arch, dataset, precision, density, iterations, seconds"""
    kind = ["arch", "dataset", "precision"]
    known = measured.assign(rate=measured["iterations"] / measured["seconds"], at=band(measured["density"]).codes)
    return {name: own.groupby("at")["rate"].median().to_dict() for name, own in known.groupby(kind)}


def seconds_left(missing: Iterable[Spec], known: Speeds) -> float:
    """What networks would take on one core at the speeds that are known; NaN where some network has none.

    A network goes by its own kind in its band of density, or in the nearest band that has one."""
    missing = list(missing)
    if any((s.arch, s.dataset, s.precision) not in known for s in missing):
        return float("nan")
    total = 0.0
    for s, at in zip(missing, band(density(s) for s in missing).codes, strict=True):
        own = known[s.arch, s.dataset, s.precision]
        total += s.iterations / own[min(own, key=lambda band: abs(band - at))]
    return total


def band(densities: Iterable[float]) -> pd.Categorical:
    return pd.cut(list(densities), [0, *BANDS.values()], labels=list(BANDS))


def seconds(rows: Iterable[Spec], speed: pd.Series) -> pd.DataFrame:
    """Chain, arm and seconds on one core of each row, at iterations per second by band of density."""
    rows = list(rows)
    table = pd.DataFrame({"chain": [results.chain_of(s) for s in rows], "arm": [s.arm for s in rows]})
    return table.assign(seconds=[s.iterations for s in rows] / speed[band(density(s) for s in rows)].to_numpy())


def lenet() -> str:
    """Speed of the published LeNet-300-100 by density, and what all of the papers' would take (Markdown)."""
    cells = results.Published().cells
    own = cells[(cells["arch"] == LENET) & (cells["engine"] == "sparse") & ~cells["diverged"]]
    by = (own["iterations"] / own["seconds"]).groupby(band(own["density"]), observed=False)
    speed, names = by.median(), list(BANDS)[::-1]
    asked: dict[bool, dict[Spec, None]] = {True: {}, False: {}}  # of the papers, beyond them
    for figure in catalogue.FIGURES:
        asked[not figure.startswith("beyond")] |= dict.fromkeys(s for s in catalogue.rows(figure) if s.arch == LENET)
    papers, beyond = asked[True], [s for s in asked[False] if s not in asked[True]]
    times = seconds(papers, speed)
    tickets = times[times["arm"] == "ticket"].groupby("chain")["seconds"].sum() / 3600
    chain, longest = tickets[results.chain_of(Spec().at_round(1, prune_fc=0.2, prune_out=0.1))], tickets.max()
    hours, more = times["seconds"].sum() / 3600, seconds(beyond, speed)["seconds"].sum() / 3600
    machines = ", ".join(sorted(map(shown, set(own["device"]))))
    millions = sum(s.iterations for s in papers) / 1e6
    shared = [f"{max(hours / n, longest):.1f} h" for n in (2, 16, 128)]
    return "\n".join([
        f"Measured in the {len(own):,} cells of LeNet-300-100 in `results/` ({machines}, two networks at once on two "
        "cores that other work shared at times, evaluated on 20,000 images every 100 iterations), medians:",
        "",
        f"| weights remaining | {' | '.join(names)} |",
        "|---|" + "---:|" * len(names),
        f"| iterations a second and core | {' | '.join(f'{speed[b]:,.0f}' for b in names)} |",
        f"| cells measured | {' | '.join(f'{by.size()[b]:,}' for b in names)} |",
        "",
        f"The papers ask for {len(papers):,} LeNet-300-100 ({millions:,.0f} M iterations). At those rates they cost "
        f"about **{hours:.0f} core-hours**; what goes beyond the papers, {len(beyond):,} more, about {more:.0f}.",
        "",
        "| Estimate from measured rates | 2 cores | 16 cores | 128 cores | never below |",
        "|---|---:|---:|---:|---:|",
        f"| all of the papers' | {' | '.join(shared)} | {longest:.2f} h: the chain of most rounds |",
        f"| one chain of 27 rounds without controls |{f' {chain:.2f} h |' * 4}",
    ])  # fmt: skip


def conv() -> str:
    """Speed of the published Conv-2, -4 and -6 with their evaluations, and what all of the papers' would take at it
    (Markdown)."""
    published = results.Published()
    cells = published.cells
    own = cells[cells["arch"].str.startswith("conv") & (cells["engine"] == "dense-cpu") & ~cells["diverged"]]
    if own.empty:
        return "No such network is published yet."
    own = own.assign(rate=[work(published.spec(k)) / s for k, s in zip(own.index, own["seconds"], strict=True)])
    kinds = own.groupby("precision")["rate"]
    asked = {
        s: None
        for f in catalogue.FIGURES
        if f.startswith("iclr")
        for s in catalogue.rows(f)
        if s.arch.startswith("conv")
    }
    fp32 = own.loc[own["precision"] == "fp32", "rate"].median()
    years = sum(work(s) for s in asked) / fp32 / (365 * 86_400)
    machines = ", ".join(sorted(map(shown, set(own["device"]))))
    return "\n".join([
        f"Measured in the {len(own):,} cells of Conv-2, -4 and -6 in `results/` ({machines}, two processes of one "
        "thread on two cores that other work shared at times), with their evaluations:",
        "",
        "| precision | cells | billion multiply-adds a second and core, median |",
        "|---|---:|---:|",
        *(f"| {shown(precision)} | {len(rate):,} | {rate.median() / 1e9:,.0f} |" for precision, rate in kinds),
        "",
        f"The papers' {len(asked):,} would take {years:,.0f} core-years at the rate of fp32: they need GPUs."
        if np.isfinite(years) else "",
    ])  # fmt: skip


def pictures() -> str:
    """Figures that are only pictures of a network that was too costly: how many of their networks are measured, and
    what these took (Markdown)."""
    cells = results.Published().cells
    lines = ["| figure | networks measured | iterations of each | hours of training | on |", "|---|---:|---:|---:|---|"]
    for figure in (f for f in catalogue.FIGURES.values() if f.illustrates):
        rows = catalogue.rows(figure.id)
        own = cells[cells["key"].isin({key_of(s) for s in rows})]
        hours = f"{own['seconds'].sum() / 3600:.1f}" if len(own) else "–"
        machines = ", ".join(sorted(map(shown, set(own["device"])))) or "–"
        name = f'<a href="{figure.notebook}.html#{figure.id}">{figure.title}</a>'
        lines.append(f"| {name} | {len(own)} of {len(rows)} | {rows[0].iterations:,} | {hours} | {machines} |")
    return "\n".join(lines)
