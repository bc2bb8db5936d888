"""What a page says in words: the section's claims, judged on the networks that the page shows.

Nothing here is written by hand: each sentence is filled from the ledger's tests (`claims`), run on what this notebook
read or trained, and says so when that is too little.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import Markdown

from lth_core import claims, paper, plot, results
from lth_core.judge import with_depth
from lth_core.store import key_of
from lth_core.study import Study

WORDS = {
    claims.REPRODUCED: "reproduced", claims.DIRECTION: "same direction", claims.NOT: "<strong>not reproduced</strong>",
    claims.UNMEASURED: "not shown at this scale", claims.CANNOT: "cannot be judged",
}  # fmt: skip


class Bench(claims.Bench):
    """The ledger's queries, answered by a notebook's own networks: its profile, trials, seed and data set."""

    def __init__(self, study: Study) -> None:
        super().__init__(study.source, (study.profile,), study.on)
        self.study = study

    def rows(self, figure: str, profile: str) -> claims.Rows:
        if (figure, profile) not in self.cache:
            specs = self.study.rows(figure)
            have = np.array([key_of(s) in self.keys for s in specs])
            there = [s for s, h in zip(specs, have, strict=True) if h]
            table = with_depth(results.table(there, self.source)) if there else pd.DataFrame()
            declared = pd.DataFrame([results.describe(s) for s in specs])
            self.cache[figure, profile] = claims.Rows(specs, declared, have, table, self.study.scale(figure))
        return self.cache[figure, profile]


def verdicts(study: Study) -> pd.DataFrame:
    """One row a claim of this section, judged on this page's networks (columns: see `claims.judge_one`)."""
    bench = Bench(study)
    rows = [claims.judge_one(bench, c) for c in claims.for_section(study.notebook) if not c.counted]
    return pd.DataFrame(rows).set_index("id", drop=False)


def numbers(found: pd.DataFrame, *, caption: str) -> plot.Html:
    """Paper against measurement: the claims that print a number."""
    shown = found[found["number"].notna() & found["effect"].notna()]
    if shown.empty:
        return plot.Html(f"<p><em>{escape(caption)}: nothing is measured yet.</em></p>", "paper versus measured")
    rows = shown.rename(columns={"statement": "quantity", "effect": "measured"})
    rows["matches"] = shown["verdict"].map(WORDS)
    rows["paper"] = [printed(r) for r in shown.itertuples()]
    return plot.versus(rows, caption=f"{escape(caption)}. Intervals: 95%, bootstrap over trials.")


def shapes(found: pd.DataFrame, *, caption: str) -> plot.Html:
    """The claims without a number (orders, rises and falls): what is printed, the measured effect, the verdict."""
    shown = found[found["number"].isna() & (found["verdict"] != claims.CANNOT)]
    head = "".join(f'<th scope="col">{h}</th>' for h in ("claim", "printed", "measured", "verdict"))
    body = "".join(
        f'<tr><th scope="row">{escape(r.statement)}</th><td>{escape(printed(r))}</td>'
        f"<td>{escape(signed(claims.measured(r))) or '–'}</td><td>{WORDS[r.verdict]}</td></tr>"
        for r in shown.itertuples()
    )
    text = f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    title = f"<summary>{len(shown)} statements about order and shape, each tested</summary>"
    return plot.Html(f'<details>{title}<table class="table">{text}</table></details>', "claims")


def signed(text: str) -> str:
    """Minus signs as such; hyphens stay."""
    return re.sub(r"(?<![\w)])-(?=\d)", "−", text)


def printed(row: Any) -> str:
    """What the paper prints, units written out."""
    return re.sub(r"(?<=\d) x\b", "×", re.sub(r"\bpp\b", "points", row.says))


def judged(found: pd.DataFrame) -> int:
    return int(found["verdict"].isin(claims.RANK).sum())


def answer(found: pd.DataFrame, id: str) -> str:
    """What a claim prints, what is measured here, and the verdict, as the end of a sentence."""
    row: Any = next(found.loc[[id]].itertuples())
    said = claims.measured(row)
    if not said:
        return f"The paper says: {printed(row)}. Not measured here yet."
    words = {claims.UNMEASURED: "this scale cannot show it"}
    verdict = words.get(row.verdict, row.verdict)
    return signed(f"The paper says: {printed(row)}. Measured: {said}; {verdict}.")


def takeaway(found: pd.DataFrame, questions: dict[str, str]) -> Markdown:
    """Questions, each answered by the claim with this id."""
    lines = [f"- **{question}** {answer(found, id)}" for id, question in questions.items()]
    return Markdown("\n".join(lines))


def failed(study: Study, found: pd.DataFrame) -> Markdown:
    """What did not reproduce, what holds without its number, and what this scale cannot show."""
    lines: list[str] = []

    def listed(title: str, rows: Iterable[Any], reason: bool = False) -> None:
        rows = list(rows)
        if rows:
            lines.append(f"**{title}**\n")
        for r in rows:
            said = claims.measured(r)
            more = [f"printed: {printed(r)}", *([f"measured: {said}"] if said else []), *([r.reason] if reason else [])]
            lines.append(signed(f"- {r.statement} ({'; '.join(m for m in more if m)})"))
        if rows:
            lines.append("")

    of = {v: list(found[found["verdict"] == v].itertuples()) for v in claims.VERDICTS}
    if not judged(found):
        lines.append(
            "Nothing can be said yet: none of this section's claims is judged on the networks at hand "
            f"({len(found)} wait for their measurements).\n"
        )
    elif of[claims.NOT]:
        listed("These claims do not hold here.", of[claims.NOT])
    else:
        lines.append("No claim that could be judged failed.\n")
    listed("In direction only: the sign holds, the number or the extent does not.",
           (r for r in of[claims.DIRECTION] if not r.scale))  # fmt: skip
    small = [r for r in of[claims.DIRECTION] if r.scale]
    if small:
        lines.append(f"{len(small)} claims hold in direction, at less than the paper's scale ({small[0].scale}).\n")
    waits = of[claims.UNMEASURED]
    if judged(found) and waits:
        lines.append(
            f"**{len(waits)} claims are not shown at this scale or not measured yet;** a miss at less than the paper's "
            "scale is no evidence against it.\n"
        )
        if study.profile != "quick":
            listed("Those are:", waits, reason=True)
    return Markdown("\n".join(lines))


def claims_of(study: Study, found: pd.DataFrame) -> Markdown:
    """How many claims the section makes and how they fare, in a sentence."""
    counts = found["verdict"].value_counts()
    said = ", ".join(f"{counts[v]} {v}" for v in claims.VERDICTS if v in counts)
    full = {paper.FIGURES[f.id].paper.iterations for f in paper.figures_of(study.notebook)}
    note = "" if study.on == "mnist" and study.profile != "quick" else (
        f" These networks are far from the paper's scale ({study.on}, at most a few thousand of {max(full):,} "
        "iterations): read the verdicts as a demonstration of the method."
    )  # fmt: skip
    return Markdown(f"**{len(found)} claims of this section are tested below:** {said}.{note}")
