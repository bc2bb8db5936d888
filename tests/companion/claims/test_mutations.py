"""The guard: every claim test, with the arguments of every claim, holds on data of which the sentence is true and fails
on data of which it is false by twice its tolerance. A claim whose test has no such data is an error."""

from __future__ import annotations

import inspect
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import mutants
import numpy as np
import pandas as pd
import pytest

from lth_companion.claims import statements, xor
from lth_companion.claims.statements import Part
from lth_companion.claims.tests import TESTS, traits
from lth_core import models
from lth_core.judge.result import Result
from lth_core.levels import Lacking
from lth_core.spec import Spec

PARTS: dict[str, Part] = {  # each test with its arguments once, however many claims ask it
    json.dumps([p.test, p.arguments], sort_keys=True): p
    for c in statements.load() for _, parts in c.wordings for p in parts
}  # fmt: skip


def of(needs: str) -> list[Any]:
    return [pytest.param(p, id=f"{p.test}-{i}") for i, p in enumerate(PARTS.values()) if traits(p).needs == needs]


def told(part: Part, good: Result, bad: Result) -> None:
    assert good.word == "holds", f"true, and yet: {part}: {good}"
    assert bad.word == "fails", f"false by twice the tolerance, and yet: {part}: {bad}"


# --- Tables of networks -----------------------------------------------------------------------------------------------


def both(part: Part) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Networks of which a test's sentence is true, and others of which it is false."""
    if part.test in OWN:
        return OWN[part.test](part.arguments)
    sides, columns, *worlds = mutants.NETWORKS[part.test](dict(part.arguments))
    step = worlds[2] if len(worlds) > 2 else 1.0
    good, bad = (mutants.table(sides, columns, w, step) for w in worlds[:2])
    return good, bad


@pytest.mark.parametrize("part", of("networks"))
def test_networks(part: Part) -> None:
    good, bad = both(part)
    told(part, TESTS[part.test](good, **part.arguments), TESTS[part.test](bad, **part.arguments))


def valued(table: pd.DataFrame, only_at: str) -> pd.DataFrame:
    """Networks that have values at one kind of them only: the others never converged, or trained too short to tell."""
    pruned = table["round"] > 0 if "round" in table else table["depth"] > 0
    kept = {"none": np.zeros(len(table), bool), "unpruned": ~pruned, "pruned": pruned}[only_at]
    fixed = {*Spec.__dataclass_fields__, "depth", "density"}
    measured = [c for c in table.select_dtypes(["float", "bool"]) if c not in fixed]
    return table.assign(**{c: table[c].astype(float).where(kept) for c in measured})


SOUGHT = {"returns", "deeper", "weights_where", "grows", "dip"}  # tests that look for a pruned level


@pytest.mark.parametrize("part", of("networks"))
def test_networks_without_values_end_with_an_answer_and_hold_nothing(part: Part) -> None:
    for table in both(part):
        trial = table[table["trial"] == 0] if "trial" in table else table
        worlds = [(valued(t, only_at), only_at) for t in (table, trial) for only_at in ("none", "unpruned", "pruned")]
        for world, only_at in [*worlds, (trial, "all")]:
            with suppress(Lacking):
                found = TESTS[part.test](world, **part.arguments)
                assert found.word != "holds" or only_at != "none" or part.test == "copies", found
                assert part.test not in SOUGHT or only_at not in ("none", "unpruned"), "no level to be sought among"


def scattered(a: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    def wild(arm: str) -> pd.DataFrame:
        found = mutants.table([{"arm": a["of"]}, {"arm": a["to"]}], [a["column"]], lambda *_: 8000.0)
        noise = np.random.default_rng(0).standard_normal(len(found))
        return found.assign(**{a["column"]: 8000 + noise * np.where(found["arm"] == arm, 500, 100)})

    return wild(a["of"]), wild(a["to"])


def copied(a: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    one = pd.DataFrame({"arm": [a["arm"]] * a["number"], "depth": 1.0})
    return one, pd.concat([one, one])


OWN = {"scatter": scattered, "copies": copied}


# --- Opened tickets ---------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Opened:
    """Tickets of five trials, whose masks and trained weights are functions of layer, initial values and row."""

    keep: Any
    move: Any = None

    def has_masks(self, spec: Spec) -> bool:
        return True

    has_trained = has_masks

    def masks(self, spec: Spec) -> dict[str, np.ndarray]:
        drawn = models.drawn(spec)
        return {x.weight: self.keep(x.weight, drawn[x.weight], spec) for x in models.layers(spec.arch, spec.dataset)}

    def trained(self, spec: Spec) -> dict[str, np.ndarray]:
        return {n: self.move(n, w, spec) for n, w in models.drawn(spec).items()}


def rows_of(a: dict[str, Any]) -> list[Spec]:
    kinds = [a[k] for k in ("of", "to") if isinstance(a.get(k), dict)] or [{}]
    rounds = {a.get("round", 0), *a.get("rounds", [])}
    return [
        Spec(trial=t, **kind).at_round(r, **({"prune_fc": 0.2, "prune_out": 0.1} if r else {}))
        for kind in kinds for r in rounds for t in range(3)
    ]  # fmt: skip


def whole(n: str, w: np.ndarray, s: Spec) -> np.ndarray:
    return np.ones(w.shape, bool)


def large(n: str, w: np.ndarray, s: Spec) -> np.ndarray:
    return np.abs(w) > w.std()


def tenth(n: str, w: np.ndarray, s: Spec) -> np.ndarray:
    return np.random.default_rng([w.size, s.trial]).random(w.shape) < 0.3


def only(chosen: list[str]) -> Any:
    return lambda n, w, s: large(n, w, s) if n in chosen else whole(n, w, s)


def moved(where: Any) -> Any:
    return lambda n, w, s: np.where(where(n, w, s) if w.ndim > 1 else False, w + np.sign(w), w)


def signed(a: dict[str, Any], turn: int) -> Any:
    def keep(n: str, w: np.ndarray, s: Spec) -> np.ndarray:
        sign = a["signs"].get(n, 1) * (turn if not a.get("each") or s.trial else 1)
        return (w * sign > 0) | tenth(n, w, s)

    return keep


def units(a: dict[str, Any]) -> tuple[Any, Any]:
    """Masks whose statistic is what is stated, and masks whose statistic is not."""
    axis, name = a.get("axis", 1), a["layer"]
    along = lambda w, bad: np.broadcast_to(bad[:, None] if axis else bad[None, :], w.shape).copy()  # noqa: E731

    def dead(part: float) -> Any:
        def keep(n: str, w: np.ndarray, s: Spec) -> np.ndarray:
            return along(w, np.arange(w.shape[0]) >= part * w.shape[0]) if n == name else whole(n, w, s)

        return keep

    def lonely(n: str, w: np.ndarray, s: Spec) -> np.ndarray:  # one unit has all, the others one connection each
        kept = np.zeros(w.shape, bool)
        kept[np.arange(w.shape[0]), np.arange(w.shape[0]) % w.shape[1]] = True
        kept[0] = True
        return kept if n == name else whole(n, w, s)

    def edges(inner: bool) -> Any:
        def keep(n: str, w: np.ndarray, s: Spec) -> np.ndarray:
            if n != name:
                return whole(n, w, s)
            middle = np.zeros((28, 28), bool)
            middle[7:21, 7:21] = True
            return np.broadcast_to(middle.ravel() == inner, w.shape) | tenth(n, w, s)

        return keep

    if a["statistic"] == "dead":
        number = a["number"]
        good = dead(number if a.get("limit", "both") == "both" else number / 2)
        return good, dead(min(0.95, number + 2 * a.get("within", number / 2)))
    if a["statistic"] == "edge":
        return edges(True), edges(False)
    if a["statistic"] == "peaks":
        return edges(True), tenth
    return whole, lonely


def pair_of(part: Part) -> tuple[Opened, Opened]:
    a, layers, name = part.arguments, list(part.arguments.get("layers", [])), part.test
    by_round = lambda first, last: lambda n, w, s: (first if s.round == a["rounds"][0] else last)(n, w, s)  # noqa: E731
    keeps_order, turns = lambda n, w, s: 2 * w, lambda n, w, s: np.abs(w).max() - np.abs(w)
    masks = {
        "hollow": lambda: (large, whole), "keeps": lambda: (whole, large),
        "fuller": lambda: (only(layers[1:]), only(layers[:1])),
        "emptier": lambda: (by_round(whole, large), by_round(large, whole)),
        "favours": lambda: (signed(a, 1), signed(a, -1)), "units": lambda: units(a),
        "steeper": lambda: (skewed(a["of"]), skewed(a["to"])),
        "uneven": lambda: (skewed(a["above"], axis=0), skewed(a["layer"])),
        "more_uneven": lambda: (skewed(a["layer"], a["axis"], a["of"]), skewed(a["layer"], a["axis"], a["to"])),
    }  # fmt: skip
    if name in masks:
        good, bad = masks[name]()
        return Opened(good), Opened(bad)
    trained = {
        "hollow_trained": (lambda n, w, s: w + np.sign(w), lambda n, w, s: w),
        "moves_more": (moved(tenth), moved(lambda *x: ~tenth(*x))),
        "grow_more": (moved(tenth), moved(lambda *x: ~tenth(*x))),
        "remembers": (keeps_order, turns),
        "remembers_more": tuple(
            (lambda n, w, s, k=k: keeps_order(n, w, s) if n in a.get(k, []) else turns(n, w, s)) for k in ("of", "to")
        ),
    }[name]  # fmt: skip
    return Opened(tenth if name != "hollow_trained" else whole, trained[0]), Opened(
        tenth if name != "hollow_trained" else whole, trained[1]
    )


def skewed(name: str, axis: int = 1, kind: dict[str, Any] | None = None) -> Any:
    """Units of one layer (of one kind of network) lose their connections one after the other."""

    def keep(n: str, w: np.ndarray, s: Spec) -> np.ndarray:
        if n != name or (kind and any(getattr(s, k) != v for k, v in kind.items())):
            return tenth(n, w, s)
        size = w.shape[0] if axis else w.shape[1]
        share = np.linspace(0, 1, size)
        draw = np.random.default_rng([w.size, s.trial]).random(w.shape)
        return draw < (share[:, None] if axis else share[None, :])

    return keep


@pytest.mark.parametrize("part", of("tickets"))
def test_opened_tickets(part: Part) -> None:
    rows = rows_of(part.arguments)
    good, bad = (TESTS[part.test](source, rows, **part.arguments) for source in pair_of(part))  # type: ignore[arg-type]
    told(part, good, bad)


# --- XOR --------------------------------------------------------------------------------------------------------------

MANY = 400_000
OF_ITSELF = {"xor_exact", "xor_score", "xor_parents"}  # no claim's number: tested on other networks


@pytest.mark.parametrize("part", [p for p in of("xor") if p.values[0].test not in OF_ITSELF])
def test_xor(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    a = {k: v for k, v in part.arguments.items() if k != "tie"}

    def found(rates: Any) -> Result:
        def group(strategy: str, hidden: int, success: str, tie: float = 0, given_parent: bool = False) -> np.ndarray:
            share = rates(strategy, hidden, success) / 100
            draws = (np.arange(MANY) + 0.5) / MANY  # paired: the same trials succeed first
            return (draws < share).astype(float)

        monkeypatch.setattr(xor, "group", group)
        return TESTS[part.test](**a)

    good, bad = XOR[part.test](a)
    told(part, found(good), found(bad))


def _rate(a: dict[str, Any]) -> Any:
    far = 2 * xor.chance(a["number"], a.get("printed_n", 1000))
    other = a["number"] - far if a["number"] > 50 else a["number"] + far
    return lambda *_: a["number"], lambda *_: other


def _gain(a: dict[str, Any]) -> Any:
    by = 0.0 if a.get("equal") else a.get("number") or 10.0
    bad = 2 * a.get("within", 5.0) if a.get("equal") else by - 2 * a.get("within", 5.0) if a.get("number") else -by
    place = (a["first"], a["hidden"][0])
    same = a["first"] == a["second"] and a["hidden"][0] == a["hidden"][1]
    assert not same
    rate = lambda d: lambda s, h, _: 50 + (d if (s, h) == place else 0)  # noqa: E731
    return rate(by), rate(bad)


def _xor_ratio(a: dict[str, Any]) -> Any:
    rate = lambda r: lambda s, *_: 15 * r if s == a["first"] else 15  # noqa: E731
    return rate(a["number"]), rate(a["number"] + 2 * a["within"])


def _rises(a: dict[str, Any]) -> Any:
    return lambda s, h, _: 5.0 * h, lambda s, h, _: 60 - 5.0 * h


def _gaps(a: dict[str, Any]) -> Any:
    gaps = dict(zip(xor.HIDDEN, a["numbers"], strict=True))
    rate = lambda k: lambda s, h, success: 40 + (k * gaps[h] if success == "right" else 0)  # noqa: E731
    return rate(1.0), rate(0.0)


XOR = {"xor_rate": _rate, "xor_gain": _gain, "xor_ratio": _xor_ratio, "xor_rises": _rises, "xor_gaps": _gaps}


# --- Settings, counts and sums ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", of("settings"))
def test_settings(part: Part) -> None:
    """What is counted is compared with what is printed: printed as counted it holds, printed otherwise it fails."""
    a, test = part.arguments, TESTS[part.test]
    found = test(**a)
    if part.test == "setting":
        name, value = next(iter(a["wanted"].items()))
        other = f"{value}x" if isinstance(value, str) else [1] if isinstance(value, list) else value + 1
        good, bad = found, test(**{**a, "wanted": {**a["wanted"], name: other}})
    elif part.test == "ends_below":
        good, bad = test(**{**a, "percent": found.effect * 1.01}), test(**{**a, "percent": 2 * found.effect})
    elif part.test in ("split_sizes", "kept_percent"):
        numbers = a["numbers"]
        good, bad = found, test(**{**a, "numbers": [numbers[0] + 2000, *numbers[1:]]})
    else:
        usual = inspect.signature(test).parameters.get("within")
        within = a.get("within", a.get("digits", usual.default if usual and "within" not in a else 0.0))
        good = test(**{**a, "number": found.effect})
        bad = test(**{**a, "number": found.effect + 2 * max(within, 0.5)})
    told(part, good, bad)


# --- None is left out -------------------------------------------------------------------------------------------------


def test_every_claim_test_has_both_worlds() -> None:
    known = {
        "networks": {*mutants.NETWORKS, *OWN}, "xor": {*XOR, *OF_ITSELF},
        "tickets": {p.test for p in PARTS.values() if traits(p).needs == "tickets"},
        "settings": {p.test for p in PARTS.values() if traits(p).needs == "settings"},
    }  # fmt: skip
    for part in PARTS.values():
        assert part.test in known[traits(part).needs], f"{part.test} lacks data of which it is true and false"
    judged = [c for c in statements.load() if c.tests]
    assert len(judged) + sum(bool(c.cannot or c.lacking) for c in statements.load()) == 401


def test_a_part_without_worlds_is_an_error() -> None:
    with pytest.raises(KeyError):
        mutants.NETWORKS["nobody_wrote_this"]
    assert issubclass(Lacking, LookupError)
