"""Statements about your own networks, judged by the same tests as the papers'."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from lth_core.errors import UsageError
from lth_core.judge import comparisons
from lth_core.judge.result import tests_in
from lth_core.levels import Lacking, Side, with_depth

SAID = {"holds": "holds", "fails": "does not hold", "undecided": "undecided"}  # a test's word, of a statement
NEEDED = ("trial", "round", "arm", "prune_fc", "prune_conv", "density")  # columns that every statement is judged by


def judge(cells: pd.DataFrame, statements: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Statements about your networks, tested as the ledger tests the papers': effect, low, high (95%), n, verdict.

    Each is the name of a test (see `judge.comparisons`), or a function with `judge.result.claim_test` above it, and its
    arguments: `ahead` says that one side is better than another, over `levels` in rounds of 20% or percent of weights.
    A statement holds, does not hold or is undecided, by the rules of `judge.result`; intervals are Student's t, the
    jackknife or resamples over trials, and fewer than three trials have none.

    >>> cells = pd.DataFrame({"trial": [0, 0, 0, 1, 1, 1, 2, 2, 2], "round": [0, 1, 1] * 3,
    ...     "prune_fc": [0.0, 0.2, 0.2] * 3, "prune_conv": 0.0, "density": [1.0, 0.8, 0.8] * 3,
    ...     "arm": ["ticket", "ticket", "reinit"] * 3,
    ...     "stop_test": [0.9, 0.91, 0.85, 0.9, 0.92, 0.86, 0.9, 0.915, 0.85]})
    >>> said = judge(cells, {"Tickets are more accurate than their reinitialised copies.": dict(test="ahead",
    ...     column="stop_test", of={"arm": "ticket", "at": 1}, to={"arm": "reinit", "at": 1})})
    >>> said[["effect", "n", "verdict"]].round(1).values.tolist()
    [[6.2, 3, 'holds']]
    """
    tests = tests_in(comparisons)
    if not isinstance(cells, pd.DataFrame):
        raise UsageError(f"a {type(cells).__name__} is no table of networks: give found.cells.")
    if not isinstance(statements, Mapping):
        raise UsageError(f"statements are a {type(statements).__name__}: give a dict, sentence to test.")
    for statement, how in statements.items():
        if not isinstance(how, Mapping) or "test" not in how:
            raise UsageError(f"{statement!r} lacks test, the name of one; allowed: {', '.join(tests)}.")
        if how["test"] not in list(tests) and not (callable(how["test"]) and hasattr(how["test"], "traits")):
            raise UsageError(f"test {how['test']!r} does not exist; allowed: {', '.join(tests)}.")
    if missing := [c for c in NEEDED if c not in cells]:
        raise UsageError(f"the table lacks the columns {', '.join(missing)}: one row a network, as in `Found.cells`.")
    table, rows = with_depth(cells), []
    called = {s: tests[how["test"]] if isinstance(how["test"], str) else how["test"] for s, how in statements.items()}
    asked = {s: _arguments(s, called[s], how, list(table)) for s, how in statements.items()}
    for statement, arguments in asked.items():
        name = called[statement].__name__
        try:
            result = called[statement](table, **arguments)
        except Lacking as why:
            nothing = dict.fromkeys(("effect", "low", "high"), float("nan"))
            rows.append({"statement": statement, **nothing, "n": 0, "verdict": f"not measured: {why}"})
            continue
        except (KeyError, TypeError, ValueError, IndexError) as error:  # an argument that exists, with an odd value
            said = " ".join(f"{type(error).__name__}: {error}".split())
            raise UsageError(f"{statement!r}: the test {name} cannot use a value that it is given ({said}).") from error
        numbers = {"effect": result.effect, "low": result.low, "high": result.high, "n": result.n}
        rows.append({"statement": statement, **numbers, "verdict": SAID[result.word]})
    return pd.DataFrame(rows, columns=["statement", "effect", "low", "high", "n", "verdict"])


def _arguments(statement: str, test: Callable[..., Any], how: Mapping[str, Any], columns: list[str]) -> dict[str, Any]:
    """What a statement gives its test; refused where it names what the test or the table does not have."""
    name, fields = test.__name__, list(dict.fromkeys(["arm", "at", "path", *columns]))  # `fields`: what a side may name
    parameters = inspect.signature(test, eval_str=True).parameters
    takes = {n: p for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
    allowed = [*takes, *(["levels"] if name == "share" else [])]
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):  # a side's fields, given one by one
        allowed += [f for f in fields if f not in allowed]
    given = {n: v for n, v in how.items() if n != "test"}
    values = {n: given.get(n, p.default) for n, p in takes.items()}
    if unknown := [n for n in given if n not in allowed]:
        raise UsageError(
            f"{statement!r}: {unknown[0]!r} is nothing the test {name} takes; allowed: {', '.join(allowed)}."
        )
    if missing := [n for n, value in values.items() if value is inspect.Parameter.empty]:
        raise UsageError(f"{statement!r} lacks {', '.join(missing)}: the test {name} takes {', '.join(takes)}.")
    named = [values[n] for n in ("column", "time", "accuracy", "field") if n in values]
    for column in [*named, *values.get("columns", ())]:
        if column not in columns:
            raise UsageError(f"{statement!r}: the table has no column {column!r}; allowed: {', '.join(columns)}.")
    sides = {n: values[n] for n, p in takes.items() if p.annotation == Side}
    sides |= {f"side {i}": side for i, side in enumerate(values.get("sides", ()), 1)}
    levels = values.get("levels")
    for which, side in sides.items():
        if not isinstance(side, Mapping):
            raise UsageError(
                f"{statement!r}: {which} = {side!r} is no side: give one such as {{'arm': 'ticket', 'at': 1}}."
            )
        if unknown := [n for n in side if n not in fields]:
            raise UsageError(f"{statement!r}: {which} names {unknown[0]!r}; allowed: {', '.join(fields)}.")
        at_one = name in ("ratio", "difference", "value") or ("levels" in values and levels is None)
        if at_one and "at" not in side:
            raise UsageError(f"{statement!r}: {which} lacks at: give a round, a percentage such as '25%', or 'best'.")
    if levels is not None and sides and all(side.get("at") is not None for side in sides.values()):
        raise UsageError(f"{statement!r} has levels, and at in each side: leave one of them out.")
    return given
