"""What `benchmarks/convolutional.py` measured, as tables of Markdown for the page about sparse training on a CPU."""

from __future__ import annotations

import pandas as pd

from lth_companion.experiments import timings
from lth_companion.experiments.costs import multiplications
from lth_core import plot
from lth_core.engines.convolutional.crossover import FASTER_UP_TO
from lth_core.plot import Html
from lth_core.untrusted_text import shown

NAME = "convolutional tickets, {}"
BATCH = {"resnet-18": 128, "vgg-19": 64}  # others: 60
TICKS = (1, 2, 5, 10, 20, 50, 100, 200)  # steps a second
SOFT = "\u00ad"  # where a long word may be parted: the tables are as wide as the page
PARTS = {
    "packing": "maps", "forward": f"for{SOFT}ward", "backward": f"back{SOFT}ward", "evaluation": f"evalu{SOFT}ation",
    "norm and pool": "norm, pool", "fully connected": "fully conn.", "optimizer": f"up{SOFT}date", "other": "other",
}  # fmt: skip
NOTHING = "*Not measured yet:* `python benchmarks/bench.py --publish resnet-18 vgg-19 conv-2 conv-4 conv-6`."


def rows(what: str, file: str = timings.FILE) -> pd.DataFrame:
    """Rows of one of the comparison's benchmarks: "step", "evaluate", "peak", "memory", "chains (extrapolated)"."""
    every = timings.bench(file=file)[1]
    return every[every["benchmark"] == NAME.format(what)]


def best(found: pd.DataFrame, engine: str, arch: str) -> float:
    """Median of an engine for a network in its fastest setting."""
    return found.loc[(found["engine"] == engine) & (found["arch"] == arch), "median"].max()


def compared(file: str = timings.FILE) -> pd.DataFrame:
    """A row for each network and density that was timed.

    - `arch`, `density`; `living`: share of its multiply-adds; `megabytes` of a network
    - `steps` (also `lowest`, `highest`) and evaluated `images` a second
    - `of_dense`, `of_plain`, `of_bf16`: how many times as many steps as the dense engine, the plain loop and the dense
      engine in bfloat16, each in its best setting (NaN: not timed)
    - `looks`: how many times as many evaluated images as the dense engine"""
    steps, looks, memory = (rows(what, file) for what in ("step", "evaluate", "memory"))
    at = ["arch", "density"]
    own, seen = (part[part["engine"] == "convolutional"].set_index(at)["median"] for part in (steps, looks))
    spread = steps[steps["engine"] == "convolutional"].set_index(at)[["lowest", "highest"]].astype(float)
    fp32 = "dense fp32"
    held, living = (part.set_index(at)["median"] for part in (memory, rows("living multiply-adds", file)))
    made = [
        {
            "arch": arch, "density": density, "living": living[arch, density],
            "steps": speed, "images": seen[arch, density],
            "of_dense": speed / best(steps, fp32, arch), "of_plain": speed / best(steps, "plain loop", arch),
            "of_bf16": speed / best(steps, "dense bf16", arch), "looks": seen[arch, density] / best(looks, fp32, arch),
            "megabytes": held.get((arch, density), float("nan")), **spread.loc[(arch, density)],
        }
        for (arch, density), speed in own.items()
    ]  # fmt: skip
    return pd.DataFrame(made)


def _whole(text: str) -> str:
    """A text of a table that is not broken into lines."""
    return f'<span style="white-space: nowrap">{text}</span>'


def _times(value: float) -> str:
    return f"{value:.1f}" if pd.notna(value) else "–"


def convolutional(file: str = timings.FILE) -> str:
    """Speed of training and evaluation by network and density."""
    found = compared(file)
    if found.empty:
        return NOTHING
    ratios = {"of_dense": "× dense engine", "of_plain": "× plain loop", "of_bf16": "× dense, bf16"}
    ratios = {name: head for name, head in ratios.items() if found[name].notna().any()}
    heads = (
        "weights left",
        "work left",
        "steps/s (spread)",
        *ratios.values(),
        f"evalu{SOFT}ation, × dense",
        "MB a network",
    )
    lines = [f"| network | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for r in found.itertuples():
        held = f"{r.megabytes:,.0f}" if pd.notna(r.megabytes) else ""
        times = " | ".join(_times(getattr(r, name)) for name in (*ratios, "looks"))
        lines.append(
            f"| {_whole(shown(r.arch))} | {100 * r.density:.3g}% | {100 * r.living:.3g}% "
            f"| {r.steps:.3g} {_whole(f'({r.lowest:.3g}–{r.highest:.3g})')} | {times} | {held} |"
        )
    return "\n".join([*lines, "", measured_on(file)])


def convolutional_avx2() -> str:
    """The same of a processor whose vectors have half the width."""
    return convolutional(timings.FILE_AVX2)


def parts_avx2() -> str:
    """Where a round's time goes, by network and density (measured with AVX2)."""
    found = {part: rows(f"share of {part}", timings.FILE_AVX2) for part in PARTS}
    if any(own.empty for own in found.values()):
        return "*Not measured yet:* `python benchmarks/bench.py --publish parts`."
    by = {part: own.set_index(["arch", "density"])["median"] for part, own in found.items()}
    lines = [
        f"| network | left | {' | '.join(PARTS.values())} |", f"|---|---:|{'---:|' * len(PARTS)}"
    ]  # fmt: skip
    for arch, density in by["packing"].index:
        shares = " | ".join(f"{100 * own[arch, density]:.0f}%" for own in by.values())
        lines.append(f"| {_whole(shown(arch))} | {100 * density:.3g}% | {shares} |")
    return "\n".join(lines)


def measured_on(file: str) -> str:
    """A sentence about the machine and how it was measured."""
    made, _ = timings.bench(file=file)
    who = {name: shown(made.get(name, "")) for name in ("device", "vectors", "cores", "torch", "when", "commit")}
    peak = rows("peak", file)["median"]
    return (
        "Medians (lowest–highest) of two to seven turns on all cores, by processor time ({device}, {vectors}, {cores} "
        "cores, torch {torch}, {when}, commit {commit}); each contender in its best setting of processes and threads, "
        "all of which are on {{doc}}`performance`. Batches are the paper's. ".format(**who)
        + (f"The peak of the machine was {peak.median():.0f} GFLOP/s." if len(peak) else "")
    )  # fmt: skip


def limits() -> pd.DataFrame:
    """For each network the dense step's share of the machine's peak, and how fast its dense product could be at most:
    `arch`, `dense_share`, `at_peak` (steps a second of the dense network if every core multiplied at its peak)."""
    steps, peak = rows("step"), rows("peak").set_index("arch")["median"]
    made = []
    for arch in peak.index:
        work = 6 * BATCH.get(arch, 60) * multiplications(arch, "cifar10") / 1e9  # forward, and two products backward
        dense_share = best(steps, "dense fp32", arch) * work / peak[arch]
        made.append({"arch": arch, "at_peak": peak[arch] / work, "dense_share": dense_share})
    return pd.DataFrame(made)


def crossover() -> str:
    """From which density on the engine is chosen."""
    lines = [
        f"| network | chosen up to this share of its work with {' | with '.join(FASTER_UP_TO)} |",
        f"|---|{'---:|' * len(FASTER_UP_TO)}",
    ]
    for arch in next(iter(FASTER_UP_TO.values())):
        lines.append(f"| {shown(arch)} | {' | '.join(f'{100 * of[arch]:.3g}%' for of in FASTER_UP_TO.values())} |")
    return "\n".join(lines)


def chains_avx2() -> str:
    """The same of a processor whose vectors have half the width."""
    return chains(timings.FILE_AVX2)


def chains(file: str = timings.FILE) -> str:
    """Hours of whole chains, extrapolated."""
    found = rows("chains (extrapolated)", file)
    if found.empty:
        return NOTHING
    lines = ["| chain | dense engine | compiled engine | ratio |", "|---|---:|---:|---:|"]
    for _, part in found.groupby("arch", sort=False):
        by = part.set_index("engine")
        dense, ours = by.loc["dense fp32", "median"], by.loc["convolutional", "median"]
        setting = shown(by.loc["convolutional", "setting"])
        lines.append(f"| {setting} | {dense:,.1f} h | {ours:,.1f} h | {dense / ours:.1f} |")
    return "\n".join(lines)


def told() -> str:
    """A sentence for the frequent questions: the sparsest ResNet-18 and Conv-2 that were timed, against the dense
    engine."""
    found = compared()
    if found.empty:
        return ""
    last = found.sort_values("density").groupby("arch").first()
    parts = [
        f"{shown(arch)} with {100 * last.density[arch]:.2g}% of its weights {last.of_dense[arch]:.1f} times"
        for arch in ("resnet-18", "conv-2")
        if arch in last.index
    ]
    return (
        f"The engine for convolutions trains {' and '.join(parts)} as fast as torch trains the whole network, each in "
        "its best setting on the same cores ({doc}`sparse_cpu`)."
    )


def figure() -> Html:
    """Steps a second by density for each network, with the dense engine, the plain loop, and the most that the
    machine's peak allows."""
    found, most = compared(), limits().set_index("arch")["at_peak"]
    archs, steps = list(dict.fromkeys(found["arch"])), rows("step")
    columns = min(2, len(archs))
    deep = -(-len(archs) // columns)
    fig, axes = plot.canvas(deep, columns, height=2.5 * deep, squeeze=False)
    for ax in axes.flat[len(archs) :]:
        ax.set_axis_off()
    for ax, arch in zip(axes.flat, archs, strict=False):
        part = found[found["arch"] == arch].sort_values("density")
        percent = 100 * part["density"]
        plot.line(ax, percent, most[arch] / part["living"], arm="unpruned", marker="", label="peak of the machine")
        plot.line(ax, percent, part["steps"], arm="ticket", label="compiled engine")
        for engine, arm, name in (("dense fp32", "reinit", "dense engine"), ("plain loop", "shuffle", "plain loop")):
            ends = [percent.min(), percent.max()]
            plot.line(ax, ends, [best(steps, engine, arch)] * 2, arm=arm, marker="", label=name)
        plot.percent_axis(ax, list(percent))
        ax.set(yscale="log", title=arch, xlabel="% of weights", ylabel="steps/s")
        low, high = ax.get_ylim()
        ticks = [t for t in TICKS if low <= t <= high]
        ax.set_yticks(ticks, [str(t) for t in ticks])
        ax.set_yticks([], minor=True)
    fig.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    ends = found.sort_values("density").groupby("arch", sort=False).first()
    said = ", ".join(f"{r.Index} {r.of_dense:.1f} times at {100 * r.density:.2g}%" for r in ends.itertuples())
    return plot.show(
        fig,
        name="performance-convolutional",
        alt=f"Training speed by density, one panel a network. Compiled engine against the dense engine: {said}.",
        caption="Network-steps per second of all cores, each contender in its best setting. Where the line with "
        "circles crosses the dense engine's is the break-even. Dotted: living multiply-adds at the machine's peak.",
    )
