"""`results/power.json`: what fewer trials would have said, simulated once (minutes) and read by the book.

It holds the ledger that it was simulated beside, so that one which has changed since is found (`stale`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lth_companion.claims.power import LEAST, SIZES, Power, draws_of, pools
from lth_companion.claims.verdict_rule import VERDICTS
from lth_core.results import HERE, manifest
from lth_core.results.manifest import Damaged
from lth_core.untrusted_text import faults

FILE = "power.json"
LETTERS = dict(zip(VERDICTS, "rcudmx", strict=True))  # of a draw's verdict
LEDGER = {
    "claim": str, "verdict": str, "effect": float, "p": float, "pool": str, "trials": int, "papers": int, "first": str,
}  # fmt: skip
MOST = 100_000  # draws of one claim and size


def keep(power: Power, root: str | Path = HERE) -> None:
    """Publish it: all earlier ones go."""
    columns = power.ledger.to_dict("list")
    for name in ("effect", "p"):
        columns[name] = [None if np.isnan(x) else x for x in columns[name]]
    drawn = [
        {"claim": claim, "size": int(size), "cut": int((own["shuffle"] == 0).sum()),
         "verdicts": "".join(own["verdict"].map(LETTERS))}
        for (claim, size), own in power.draws.groupby(["claim", "size"], sort=False)
    ]  # fmt: skip
    text = json.dumps(
        {"made": {"seconds": round(power.seconds)}, "ledger": columns, "draws": drawn}, indent=1, allow_nan=False
    )
    manifest.commit(Path(root), {FILE: f"{text}\n".encode()})


def read(root: str | Path = HERE) -> Power | None:
    """What is published; None where nothing is."""
    folder = Path(root)
    if (found := manifest.document(folder, FILE)) is None:
        return None
    try:
        ledger = pd.DataFrame({n: [_as(kind, value) for value in found["ledger"][n]] for n, kind in LEDGER.items()})
        rows = [row for one in found["draws"] for row in _drawn(one)]
        seconds = _as(float, found["made"]["seconds"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(f"{folder / FILE} does not hold draws of trials: {manifest.remedy(FILE)}.") from error
    draws = pd.DataFrame(rows, columns=["claim", "size", "shuffle", "verdict"])
    texts = [*ledger["claim"], *draws["claim"].unique()]
    odd = next(filter(None, (faults({"claim": text}) for text in texts)), "")
    odd = odd or ("a verdict is none" if not {*ledger["verdict"], *ledger["first"]} <= {*VERDICTS, ""} else "")
    odd = odd or ("it names a figure that has no further trials" if not {*ledger["pool"]} <= {*pools(), ""} else "")
    odd = odd or ("a claim is drawn that it does not know" if not {*draws["claim"]} <= {*ledger["claim"]} else "")
    if odd:
        raise Damaged(f"{folder / FILE} cannot be shown ({odd}): {manifest.remedy(FILE)}.")
    return Power(ledger, draws, seconds)


def _as(kind: type, value: Any) -> Any:
    """A value of this kind; ValueError for another, or for a number that is none."""
    if kind is float and value is None:
        return float("nan")
    right = isinstance(value, int | float if kind is float else kind) and not isinstance(value, bool)
    if not right or (kind is not str and not 0 <= abs(value) < 1e300):
        raise ValueError(f"{value!r} is no {kind.__name__}")
    return kind(value)


def _drawn(one: dict[str, Any]) -> list[dict[str, Any]]:
    """The draws of a claim and size, a row each."""
    verdicts = {letter: verdict for verdict, letter in LETTERS.items()}
    claim, size, cut = _as(str, one["claim"]), _as(int, one["size"]), _as(int, one["cut"])
    told = _as(str, one["verdicts"])
    if not (0 < size and 0 < cut and 0 < len(told) <= MOST) or len(told) % cut:
        raise ValueError("its draws are no whole shuffles")
    return [
        {"claim": claim, "size": size, "shuffle": i // cut, "verdict": verdicts[letter]}
        for i, letter in enumerate(told)
    ]


def stale(power: Power, verdicts: pd.DataFrame) -> list[str]:
    """Claims that are judged otherwise today than where this was simulated, or whose draws are other ones; `verdicts`:
    the ledger."""
    now = verdicts[verdicts["same_as"] == ""].set_index("id")
    before = power.ledger.set_index("claim")
    families = set(map(tuple, now.loc[now.index.isin(before.index), ["notebook", "paper"]].to_numpy()))
    asked = now.index[[(n, p) in families for n, p in zip(now["notebook"], now["paper"], strict=True)]]
    changed = [*asked.difference(before.index), *before.index.difference(asked)]
    both = before.index.intersection(asked)
    old, new = before.loc[both], now.loc[both]
    same = old["verdict"] == new["verdict"]
    for column in ("effect", "p"):
        same &= np.isclose(old[column], new[column].astype(float), rtol=1e-4, atol=1e-9, equal_nan=True)
    sizes = {claim: {*own} for claim, own in power.draws.groupby("claim")["size"]}
    wanted = {n: {*draws_of(range(n), SIZES, LEAST)} for n in set(before["trials"])}
    drawn = [sizes.get(claim, set()) == wanted[n] for claim, n in old["trials"].items()]
    return sorted([*changed, *both[~(same.to_numpy() & np.array(drawn, bool))]])
