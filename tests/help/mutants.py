"""For every claim test: networks of which a sentence is true, and networks of which it is false by twice its tolerance.

`NETWORKS` gives, by the test's name and a claim's own arguments, the two worlds; `test_mutations` has the others. A
world says what a column is for a side (an arm and fields), a depth and a trial."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from lth_core import levels
from lth_core.models import weight_count
from lth_core.networks import PRUNING

Side = dict[str, Any]
World = Callable[[Side, float, str], float]  # side, depth, column: its value
TRIALS, DEEPEST = 5, 40
START = {"time": 8000.0, "accuracy": 0.9}


def start(column: str) -> float:
    return START["time" if levels.better_low(column) else "accuracy"]


def better(column: str, by: float) -> float:
    """A value so many percent lower, or so many points higher, than where columns start."""
    return start(column) * (1 - by / 100) if levels.better_low(column) else start(column) + by / 100


def fields_of(side: Side) -> Side:
    return {"arm": "ticket", **{k: v for k, v in side.items() if k != "at"}}


def table(sides: list[Side], columns: list[str], world: World, step: float = 1.0) -> pd.DataFrame:
    """Networks of these sides as a world says, five trials that differ by a thousandth."""
    extra = {levels.depth_of(s["at"]) for s in sides if isinstance(s.get("at"), str) and s["at"] != "best"}
    depths = sorted({*np.arange(0, DEEPEST + step / 2, step), *extra})
    own = {tuple(sorted(f.items())): f for f in map(fields_of, sides)}
    rows, seen = [], set()
    for f in own.values():
        base = {k: v for k, v in f.items() if k not in PRUNING and k != "path"}
        for d in depths:
            if d == 0 and (key := tuple(sorted(base.items()))) in seen:
                continue
            seen |= {key} if d == 0 else set()
            once = f.get("path") == "one-shot"
            usual = {"prune_fc": 0.0 if d == 0 else 0.9 if once else 0.2, "prune_conv": 0.0, "sigma": 0.0,
                     "search": "reset", "rescale": 0.0, "scope": "layer", "init": "glorot", "arch": "lenet-300-100",
                     "dataset": "mnist", "replicate": 0}  # fmt: skip
            for t in range(TRIALS):
                values = {
                    c: world(f, float(d), c) * (1 + 1e-3 * (t - 2) + 1e-5 * ((7 * t + int(4 * d)) % 5 - 2))
                    for c in columns
                }
                told = {**usual, **base, **({} if d == 0 else {k: v for k, v in f.items() if k != "path"})}
                told["arm"] = "ticket" if d == 0 else f["arm"]
                told["round"] = 0 if d == 0 else 1 if once else max(1, int(d))
                left = {"density": 0.8**d, "percent": 100 * 0.8**d}
                rows.append({**told, **left, "trial": t, "depth": float(d), **values})
    return pd.DataFrame(rows)


def at(side: Side, depth: float, wanted: Side) -> bool:
    """Whether a place is the one that a side names: its level, its best (any pruned one) or any."""
    if fields_of(wanted) != side and not (depth == 0 and wanted.get("at") == 0):
        return False
    if depth == 0 and wanted.get("at") == 0:
        return {k: v for k, v in fields_of(wanted).items() if k not in PRUNING} == {
            k: v for k, v in side.items() if k not in PRUNING
        }
    level = wanted.get("at")
    return depth > 0 if level in (None, "best") else abs(depth - levels.depth_of(level)) < levels.NEAR


def two(args: dict[str, Any], good: float, bad: float) -> tuple[list[Side], list[str], World, World]:
    """`of` has a value, `to` (all else) where columns start."""

    def world(value: float) -> World:
        return lambda s, d, c: value if at(s, d, args["of"]) and not at(s, d, args["to"]) else start(c)

    return [args["of"], args["to"]], [args["column"]], world(good), world(bad)


def wanted(number: float, within: float, limit: str) -> tuple[float, float]:
    """A number that meets the statement, and one that misses it by twice the tolerance (of a bound: by a fifth)."""
    far = max(0.2 * abs(number), 0.5)
    return {"atleast": (number + far, number - far), "atmost": (number - far, number + far)}.get(
        limit, (number, number + 2 * within)
    )


def _ratio(a: dict[str, Any]) -> Any:
    good, bad = wanted(a["number"], a.get("within", 0), a.get("limit", "both"))
    made = {"times": lambda r: r, "less": lambda r: 1 - r / 100, "more": lambda r: 1 + r / 100}[a.get("form", "times")]
    return two(a, start(a["column"]) * made(good), start(a["column"]) * made(bad))


def _difference(a: dict[str, Any]) -> Any:
    good, bad = wanted(a["number"], a.get("within", 0), a.get("limit", "both"))
    return two(a, start(a["column"]) + good / 100, start(a["column"]) + bad / 100)


def _value(a: dict[str, Any]) -> Any:
    good, bad = (x / 100 for x in wanted(a["number"], a.get("within", 0), a.get("limit", "both")))
    return [a["of"]], [a["column"]], lambda s, d, c: good, lambda s, d, c: bad - (0.2 if bad > 1 else 0)


def _ahead(a: dict[str, Any]) -> Any:
    c = a["column"]
    if "at" in a["of"] and "at" not in a["to"]:  # a level of one side, all of another
        sides, columns, good, bad = two({"column": c, "of": a["to"], "to": a["of"]}, better(c, -1), better(c, 1))
        return sides, columns, good, bad
    return two(a, better(c, 1), better(c, -1))


def _same(a: dict[str, Any]) -> Any:
    return two(a, start(a["column"]), better(a["column"], 2 * a["within"]))


def ranked(sides: list[Side], column: str, order: int) -> World:
    """Sides better one after the other: the first best with `order` 1."""

    def value(s: Side, d: float, c: str) -> float:
        found = [i for i, side in enumerate(sides) if at(s, d, side)]
        return better(c, -order * 2.0 * (found[0] if found else 0))

    return value


def _ordered(a: dict[str, Any]) -> Any:
    return a["sides"], [a["column"]], ranked(a["sides"], a["column"], 1), ranked(a["sides"], a["column"], -1)


def _earliest(a: dict[str, Any]) -> Any:
    return two({"column": a["column"], "of": {"arm": a["arm"], "at": a["at"]}, "to": {"at": 0}}, 4000.0, 12000.0)


def gives_out(end: float, margin: float, column: str, d: float) -> float:
    """A curve that is as good as its start up to a depth."""
    v = start(column)
    if d == 0:
        return v
    return v * (1 - 0.01 * (end - d)) if levels.better_low(column) else v - margin + 0.002 * (end - d)


NAMED = {
    "column", "of", "to", "at", "within", "margin", "limit", "levels", "rising", "least", "columns", "number", "form",
    "between", "time", "accuracy", "below", "slack", "each", "field", "test", "values", "what", "factor", "weights",
}  # fmt: skip


def rest(a: dict[str, Any]) -> Side:
    return {k: v for k, v in a.items() if k not in NAMED}


def _returns(a: dict[str, Any]) -> Any:
    ends = [levels.depth_of(x) for x in (a["at"] if isinstance(a["at"], list) else [a["at"]])]
    within, margin = a.get("within", 2.0), a.get("margin", 0.0)
    good, bad = {"atleast": (max(ends) + 3, max(ends) - 2), "atmost": (max(ends) - 2, max(ends) + 3)}.get(
        a.get("limit", "both"), (sum(ends) / len(ends), max(ends) + 2 * within)
    )
    worlds = [lambda s, d, c, e=e: gives_out(e, margin, c, d) for e in (good, bad)]
    return [rest(a)], [a["column"]], *worlds


def _deeper(a: dict[str, Any]) -> Any:
    sides = [a["of"], a["to"], *a.get("than", [])]

    def world(ends: list[float]) -> World:
        places = {tuple(sorted(fields_of(s).items())): e for s, e in zip(sides, ends, strict=False)}
        return lambda s, d, c: gives_out(places[tuple(sorted(s.items()))], a.get("margin", 0.0), c, d)

    return sides, [a["column"]], world([20, 8, 14, 12]), world([8, 14, 20, 8])


def _perfect(a: dict[str, Any]) -> Any:
    def world(of: float, to: float) -> World:
        return lambda s, d, c: 1.01 if d <= (of if s == fields_of(a["of"]) else to) else 0.9

    return [a["of"], a["to"]], [a["column"]], world(20, 10), world(10, 20)


def hill(column: str, top: float, d: float) -> float:
    """Better up to a depth, then worse; as good as at the start at twice the depth."""
    return better(column, 4 * (1 - ((d - top) / top) ** 2))


def _turning(a: dict[str, Any]) -> Any:
    top = levels.depth_of(a["at"]) if a.get("at") is not None else 8.0
    return [rest(a)], [a["column"]], lambda s, d, c: hill(c, top, d), lambda s, d, c: better(c, -0.2 * d)


def _monotone(a: dict[str, Any]) -> Any:
    sign = 1 if a["rising"] else -1
    worlds = [lambda s, d, c, k=k: start(c) * (1 + k * sign * 0.005 * d) for k in (1, -1)]
    return [rest(a)], [a["column"]], *worlds


def _together(a: dict[str, Any]) -> Any:
    one = a["columns"][0]
    worlds = [lambda s, d, c, k=k: start(c) * (1 + 0.005 * d * (k if c == one else 1)) for k in (1, -1)]
    return [rest(a)], a["columns"], *worlds


def _same_order(a: dict[str, Any]) -> Any:
    one = a["columns"][0]

    def world(k: int) -> World:
        def value(s: Side, d: float, c: str) -> float:
            place = next((i for i, side in enumerate(a["sides"]) if at(s, d, side)), 0)
            return 5000 + 100 * place * (k if c == one else 1)

        return value

    return a["sides"], a["columns"], world(1), world(-1)


def _throughout(a: dict[str, Any]) -> Any:
    form, limit, c = a.get("form", "points"), a.get("limit", "atleast"), a["column"]
    number = a["number"]
    far = max(2 * abs(number), 0.5) if form == "points" else 10.0
    if form == "value":
        unit = levels.unit(c)
        good, bad = ((number + 1) / unit, (number - 1) / unit) if unit > 1 else (2 * number, 0.0)
        return [rest(a)], [c], lambda s, d, _: good, lambda s, d, _: bad
    good, bad = (number + far / 4, number - far) if limit == "atleast" else (0.2 * number, number + far)
    if form == "less":
        made = lambda s, d, _, x: start(c) * (1 if d == 0 else 1 - x / 100)  # noqa: E731
    else:
        made = lambda s, d, _, x: start(c) + (0 if d == 0 else x / 100)  # noqa: E731
    return [rest(a)], [c], *[lambda s, d, k, x=x: made(s, d, k, x) for x in (good, bad)]


def _reach(a: dict[str, Any]) -> Any:
    def world(sparse: float, dense: float) -> World:
        inside = lambda d: sparse - 1e-6 <= 100 * 0.8**d <= dense + 1e-6  # noqa: E731
        return lambda s, d, c: start(c) if d == 0 else better(c, 2 if inside(d) else -2)

    low, high = a["between"]
    return (
        [rest(a)],
        [a["column"]],
        world(low, high),
        world(low + 2 * a["within"] + 8, high - 2 * a["within"] - 8),
        0.25,
    )


def _plateau(a: dict[str, Any]) -> Any:
    def world(of: float, to: float) -> World:
        return lambda s, d, c: 4000 if 3 <= d <= (of if s == fields_of(a["of"]) else to) else 8000

    return [a["of"], a["to"]], [a["column"]], world(18, 6), world(6, 18)


def _exists(a: dict[str, Any]) -> Any:
    columns = [a["time"], a["accuracy"]]
    worlds = [lambda s, d, c, k=k: start(c) if d == 0 else better(c, k) for k in (2, -2)]
    return [rest(a)], columns, *worlds


def _share(a: dict[str, Any]) -> Any:
    good, bad = {"atleast": (1.0, 0.0), "atmost": (0.0, 1.0)}[a.get("limit", "atleast")]
    side = {**rest(a), **({"at": a["at"]} if "at" in a else {})}
    return [side], [a["column"]], lambda *_: good, lambda *_: bad


def _faster_than(a: dict[str, Any]) -> Any:
    def world(of: float, to: float) -> World:
        return lambda s, d, c: 8000 if d == 0 else 8000 / (of if s == fields_of(a["of"]) else to)

    return [a["of"], a["to"]], [a["column"]], world(3, 1.5), world(1.5, 3)


def _dip(a: dict[str, Any]) -> Any:
    good = lambda s, d, c: better(c, 0 if d == 0 else -2 if d < 4 else 1)  # noqa: E731
    return [rest(a)], [a["column"]], good, lambda s, d, c: better(c, 0.05 * min(d, 20) + (d > 0))


def sized(values: list[str], column: str, peaks: list[float], what: str) -> World:
    """Networks whose best or last good level has so many weights."""
    depth = {v: float(np.log(p / weight_count(v, "mnist")) / np.log(0.8)) for v, p in zip(values, peaks, strict=True)}

    def value(s: Side, d: float, c: str) -> float:
        top = round(4 * depth[s["arch"]]) / 4
        return hill(c, max(top, 0.25), d) if what == "best" else gives_out(top, 0.0015, c, d)

    return value


def _weights_where(a: dict[str, Any]) -> Any:
    values = list(a.get("values", ("lenet-300-100",)))
    middle, factor = float(np.sqrt(np.prod(a["between"]))), a.get("factor", 1.5)
    far = a["between"][0] / factor**2
    worlds = [sized(values, a["column"], [p] * len(values), a["what"]) for p in (middle, far / 1.2)]
    return [{"arch": v} for v in values], [a["column"]], *worlds, 0.25


def _grows(a: dict[str, Any]) -> Any:
    values, n = list(a["values"]), len(a["values"])
    limit = a.get("limit", np.inf)
    steady, rising, falling = (
        [40_000.0] * n,
        list(np.geomspace(20_000, 90_000, n)),
        list(np.geomspace(90_000, 20_000, n)),
    )
    far = list(np.geomspace(10_000, 10_000 * limit**2, n)) if np.isfinite(limit) else falling
    worlds = [
        sized(values, a["column"], p, a["what"]) for p in ((steady, far) if np.isfinite(limit) else (rising, far))
    ]
    return [{"arch": v} for v in values], [a["column"]], *worlds, 0.25


def _at_weights(a: dict[str, Any]) -> Any:
    place = {v: i for i, v in enumerate(a["values"])}
    middle = (len(place) - 1) / 2
    rising = lambda s, d, c: better(c, place[s["arch"]])  # noqa: E731
    level = lambda s, d, c: better(c, abs(place[s["arch"]] - middle))  # noqa: E731
    return [{"arch": v} for v in place], [a["column"]], *((rising, level) if a["rising"] else (level, rising)), 0.5


def _everywhere(a: dict[str, Any]) -> Any:
    inner = {k: v for k, v in a.items() if k not in ("field", "test", "values", "least")}
    sides, columns, good, bad, *step = NETWORKS[a["test"]](inner)
    values = a.get("values") or [0.1, 0.2]
    spread = [{**s, a["field"]: v} for v in values for s in sides]
    strip = lambda w: lambda s, d, c: w({k: v for k, v in s.items() if k != a["field"]}, d, c)  # noqa: E731
    return spread, columns, strip(good), strip(bad), *step


NETWORKS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "ratio": _ratio, "difference": _difference, "value": _value, "ahead": _ahead, "same": _same, "ordered": _ordered,
    "earliest": _earliest, "returns": _returns, "deeper": _deeper, "perfect": _perfect, "turning": _turning,
    "monotone": _monotone, "together": _together, "same_order": _same_order, "throughout": _throughout, "reach": _reach,
    "plateau": _plateau, "exists": _exists, "share": _share, "faster_than": _faster_than, "dip": _dip,
    "weights_where": _weights_where, "grows": _grows, "at_weights": _at_weights, "everywhere": _everywhere,
}  # fmt: skip
