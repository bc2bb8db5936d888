"""What a page says in words: the section's claims, judged on the networks that the page shows.

Nothing here is written by hand: each sentence is filled from the ledger's tests (`claims`), run on what this notebook
read or trained, and says so when that is too little.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

import pandas as pd
from IPython.display import Markdown

from lth_companion import html
from lth_companion.claims import power, statements
from lth_companion.claims import verdicts as claims
from lth_companion.claims.tests import counted
from lth_companion.experiments import catalogue
from lth_companion.experiments.study import Study
from lth_companion.figures import vocabulary
from lth_companion.html import signed
from lth_companion.pages import ledger, status
from lth_core.plot import Html
from lth_core.results import Published
from lth_core.untrusted_text import shown

SEVERAL = {claims.DEPENDS: "depend on the reading"}  # a verdict whose word is another where several claims have it


def verdicts(study: Study) -> pd.DataFrame:
    """One row a claim of this section, judged on this page's networks (columns: see `claims.Verdict`).

    Claims about convolutional networks are left to the chapters that train them."""
    here = {f.paper.dataset for f in catalogue.FIGURES.values() if f.notebook == study.notebook}
    elsewhere = {"cifar10"} - here
    asked = [c for c in statements.for_section(study.notebook) if not counted(c) and c.dataset not in elsewhere]
    own = study.profile == "published" and not study.trials and not study.seed and study.option == "own"
    if not here or (own and type(study.source) is Published):  # XOR's are the same in every profile
        return claims.ledger().set_index("id", drop=False).loc[[c.id for c in asked]]
    options = dict(profile=study.profile, trials=study.trials, seed=study.seed, dataset=study.option)
    return claims.judge(study.source, asked, **options).set_index("id", drop=False)  # type: ignore[arg-type]


def numbers(found: pd.DataFrame, *, caption: str) -> Html:
    """Paper against measurement: the claims that print a number; folded away below, those that wait for ours."""
    shown = found[found["number"].notna()].sort_values("effect", key=pd.isna, kind="stable")
    waits = shown["effect"].isna() & (shown["verdict"] == claims.UNMEASURED)
    waiting, parts = int(waits.sum()), []
    if waiting < len(shown):
        how = "Intervals: 95%, Student's t, the jackknife or resamples over trials."
        parts.append(_versus(shown[~waits], f"{escape(caption)}. {how}"))
    if waiting:
        many = f"{waiting} printed number{'s' * (waiting > 1)}"
        how = "None is measured yet." if waiting == len(shown) else "Not measured yet."
        parts.append(html.folded(f"{many} not measured here yet", _versus(shown[waits], f"{escape(caption)}. {how}")))
    return Html("".join(parts), "paper versus measured")


def _versus(listed: pd.DataFrame, caption: str) -> str:
    """Claims with a number, as a table: paper, measured, interval, trials, verdict."""
    leads = [statements.turned(r.effect, r.low, r.high, r.unit) for r in listed.itertuples()]
    rows = listed.rename(columns={"statement": "quantity"}).drop(columns=["effect", "low", "high", "unit"])
    rows[["measured", "low", "high", "unit"]] = pd.DataFrame(leads, index=rows.index)
    rows["matches"] = [ended(r) for r in listed.itertuples()]
    rows["paper"] = [r.says for r in listed.itertuples()]
    return html.versus(rows, caption=caption).text


def shapes(found: pd.DataFrame, *, caption: str) -> Html:
    """The claims without a number (orders, rises and falls): what is printed, the measured effect, the verdict."""
    listed = found[found["number"].isna() & (found["verdict"] != claims.CANNOT)]
    rows = [
        (shown(r.statement), shown(r.says), shown(signed(_measured(r))) or html.DASH, ended(r))
        for r in listed.itertuples()
    ]
    head = ("claim", "printed", "measured", "verdict")
    whole = html.table(head, rows, caption=escape(caption), aligned=False)
    waiting = bool((listed["verdict"] == claims.UNMEASURED).all())
    if waiting or len(listed) > 8:
        many = f"{len(listed)} statement{'s' * (len(listed) != 1)} about order and shape"
        whole = html.folded(many + (", not tested here yet" if waiting else ""), whole)
    return Html(whole if len(rows) else "", "claims")


def _measured(row: Any) -> str:
    """What is measured, and whether it is only a part of what the claim is about."""
    said = statements.measured(row)
    return f"part of it: {said}" if said and row.verdict == claims.UNMEASURED else said


def ended(row: Any) -> str:
    """A verdict in a table of measured numbers."""
    if row.verdict == claims.UNMEASURED and pd.isna(row.effect):
        return "not measured yet"
    return f"<strong>{row.verdict}</strong>" if row.verdict == claims.CONTRADICTED else row.verdict


def judged(found: pd.DataFrame) -> int:
    return int(found["verdict"].isin(claims.RANK).sum())


def answer(found: pd.DataFrame, id: str, of: str = "") -> str:
    """What a claim prints, what is measured here (`of`: what this quantity is, where its unit does not tell), and the
    verdict, in sentences."""
    row: Any = next(found.loc[[id]].itertuples())
    said, who = statements.measured(row), "commentary" if getattr(row, "paper", "") == "blog" else "paper"
    if not said:
        return f"The {who} says: {row.says}. Not measured here yet."
    if row.verdict == claims.UNMEASURED:
        return f"The {who} says: {row.says}. What is measured here is too little to judge it: {row.reason}."
    scale = f" at {row.scale}" if row.scale else ""
    scale += f", {of}" if of else ""
    return signed(f"The {who} says: {row.says}. Measured{scale}: {said}; {_ends(row)}.")


def _ends(row: Any) -> str:
    """A verdict, and of one that stays open why: an interval that excludes no effect at all looks like an answer."""
    none = 1.0 if row.unit == "×" else 0.0
    if row.verdict == claims.UNDECIDED and row.kind == "ratio" and (row.low > none or row.high < none):
        return "the direction is sure, the number undecided"
    told = row.verdict == claims.UNDECIDED and row.but is None  # else what another part found stands before it
    return f"{row.verdict}: {row.reason}" if told and row.reason else str(row.verdict)


def takeaway(found: pd.DataFrame, questions: dict[str, str | tuple[str, str]]) -> Markdown:
    """Questions, each answered by the claim with this id; beside a question what is measured, where the unit does not
    tell."""
    asked = {id: (question, "") if isinstance(question, str) else question for id, question in questions.items()}
    lines = [f"- **{question}** {answer(found, id, of)}" for id, (question, of) in asked.items()]
    return Markdown("\n".join(lines))


def told(row: Any) -> str:
    """One claim in plain words: the paper says, we measured, why it may differ."""
    claim = next((c for c in statements.load() if c.id == row.id), None)
    who = "commentary" if getattr(row, "paper", "") == "blog" else "paper"
    said = _measured(row)
    sentence = f"{row.statement.rstrip('.')}. The {who} prints: {row.says}."
    sentence += f" We measured {shown(said)}." if said else ""
    reasons = ledger.why(claim, row) if claim else "; ".join(filter(None, [row.scale, row.reason]))
    why = "Why they may differ" if row.verdict == claims.CONTRADICTED else "Why"
    return signed(sentence + (f" {why}: {shown(reasons)}." if reasons else ""))


def failed(study: Study, found: pd.DataFrame) -> Markdown:
    """What was contradicted, what turns with the reading, what stays open, claim by claim in plain words."""
    of = {v: list(found[found["verdict"] == v].itertuples()) for v in claims.VERDICTS}
    lines: list[str] = []
    if not judged(found):
        lines.append(
            "Nothing can be said yet: none of this section's claims is judged on the networks at hand "
            f"({len(found)} wait for their measurements).\n"
        )
    elif not of[claims.CONTRADICTED]:
        lines.append("No claim that could be judged was contradicted.\n")
    titles = {
        claims.CONTRADICTED: "Contradicted: our networks show otherwise.",
        claims.DEPENDS: "Depends on the reading: the paper does not say how this is measured, and the verdict changes "
        "with how it is read.",
        claims.UNDECIDED: "Undecided: our trials leave both answers open.",
    }
    for verdict, title in titles.items():
        lines += listed(title, of[verdict], folded=len(of[verdict]) > 8 and verdict != claims.CONTRADICTED)
    if judged(found) and of[claims.UNMEASURED]:
        if study.profile in catalogue.LIVE:
            lines.append(f"**Not measured: {len(of[claims.UNMEASURED])}.**\n")
        else:
            lines += listed("Not measured", of[claims.UNMEASURED], folded=True)
    return Markdown("\n".join(lines))


def listed(title: str, rows: Iterable[Any], *, folded: bool) -> list[str]:
    """Claims below a title, folded away where they are many."""
    rows = list(rows)
    if not rows:
        return []
    head = f"<details><summary>{title} ({len(rows)})</summary>\n" if folded else f"**{title}**\n"
    return [head, *(f"- {told(r)}" for r in rows), "\n</details>\n" if folded else ""]


def fared(found: pd.DataFrame, about: str) -> str:
    """How many claims there are, and how many have which verdict."""
    counts = found["verdict"].value_counts()
    said = [f"{counts[v]} {SEVERAL.get(v, v) if counts[v] > 1 else v}" for v in claims.VERDICTS if v in counts]
    return f"**{len(found)} claim{'s' * (len(found) != 1)} about {about}:** {', '.join(said)}."


def claims_of(study: Study, found: pd.DataFrame) -> Markdown:
    """How many claims the section makes and how they fare, in a sentence."""
    full = {catalogue.FIGURES[f.id].paper.iterations for f in catalogue.figures_of(study.notebook)}
    data = vocabulary.DATA.get(study.on, study.on)
    most = max((study.scale(f.id).iterations for f in catalogue.figures_of(study.notebook)), default=0)
    read = "read the verdicts as a demonstration of the method"
    note = "" if study.on in vocabulary.DATA and study.profile not in catalogue.LIVE else (
        f" These networks are far from the paper's scale ({data}, at most {most:,} of {max(full):,} iterations): "
        f"{'their verdicts mean nothing' if study.profile == 'smoke' else read}."
    )  # fmt: skip
    return Markdown(f"{fared(found, 'trained networks')}{note}")


def trials(study: Study, found: pd.DataFrame) -> Markdown | None:
    """On how many trials sentences are judged where that is more than the page's figures draw; else nothing."""
    more = {f.id: f.paper.trials for f in catalogue.figures_of(study.notebook) if f.further}
    asked = [c.id for c in power.resting_on(more) if c.id in found.index]
    judged_on = int(found.loc[asked, "n"].max()) if asked else 0
    if study.profile != "published" or judged_on <= max(more.values(), default=0):
        return None
    papers = max(more.values())
    which = f"Figure{'s' * (len(more) > 1)} {html.joined([status.numbered(f) for f in more])}"
    return Markdown(
        f"The figures above draw the paper's {papers} trials. Sentences on {which} are judged on all "
        f"{judged_on} that are measured: [what {papers} alone could decide](beyond_trials.html)."
    )


def carries(readings: pd.DataFrame) -> Markdown:
    """Whether the choice of a reading (rows) carries the conclusions (numeric columns: signed effects)."""
    lines = []
    for column in readings.columns:
        values = readings[column].dropna()
        if len(values) < 2:
            lines.append(f"- **{column}**: too few readings have a value here to compare.")
            continue
        same = (values > 0).all() or (values < 0).all()
        span = f"{statements.amount(values.min())} to {statements.amount(values.max())}"
        verdict = "the sign is the same under all readings" if same else "**the sign depends on the reading**"
        lines.append(signed(f"- **{column}**: {verdict} ({span})."))
    return Markdown("\n".join(lines) or "*Not measured yet.*")
