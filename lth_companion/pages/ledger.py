"""The ledger as a page: the table with its filters, the picture of paper against measurement, the counts.

Plain HTML with a few lines of script beside it (`ledger.js`): without the script every claim is still there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import ticker

from lth_companion import html
from lth_companion.claims import statements
from lth_companion.claims import verdicts as claims
from lth_core import plot
from lth_core.plot import Html
from lth_core.untrusted_text import shown

HERE = Path(__file__).resolve().parent
HEAD = ("verdict", "claim", "the paper prints", "measured here (95%)")
SIGNS = dict(zip(claims.VERDICTS, "●✕○◑·–", strict=True))
# In ink alone, so that the picture reads in grey and on dark pages: (marker, filled)
MARKERS = {
    claims.REPRODUCED: ("o", True), claims.CONTRADICTED: ("X", True), claims.UNDECIDED: ("o", False),
    claims.DEPENDS: ("D", False),
}  # fmt: skip
PAPERS = {"v1": "arXiv 2018 (v1)", "iclr": "ICLR 2019", "blog": "commentaries"}


def slug(verdict: str) -> str:
    return verdict.replace(" ", "-")


def page_name(notebook: str) -> str:
    """A notebook's name for people: "iclr_2_lenet" is "ICLR 2: lenet"."""
    first, section, *rest = notebook.split("_")
    if first == "beyond":
        return f"Beyond the papers: {' '.join([section, *rest])}"
    topic = " ".join(rest).replace("vgg resnet", "VGG, ResNet")
    return f"{'ICLR' if first == 'iclr' else first} {section.upper()}: {topic}"


def chooser(name: str, label: str, options: dict[str, str]) -> str:
    listed = "".join(f'<option value="{shown(v)}">{shown(text)}</option>' for v, text in options.items())
    return (
        f'<label for="ledger-{name}">{label}<select id="ledger-{name}" name="{name}">'
        f'<option value="">all</option>{listed}</select></label>'
    )


def why(claim: statements.Claim, row: Any) -> str:
    """Why what was measured may differ from what is printed, in a sentence; "" where nothing is known."""
    known = [f"measured at {row.scale}" if row.scale else "", row.reason, claim.note.rstrip(".")]
    return "; ".join(filter(None, known))


def chances(row: Any) -> str:
    """How sure the answer is: p of all its tests, its place among the page's claims, the exact second opinion."""
    if pd.isna(row.p):
        return ""
    told = [f"p = {row.p:.2g}", *([f"q = {row.q:.2g}, Holm {row.holm:.2g}"] if pd.notna(row.q) else [])]
    if pd.notna(row.flip):
        told.append(f"exact sign-flip p of the first test {row.flip:.2g}")
    return ", ".join(told)


def _row(claim: statements.Claim, row: Any) -> str:
    """One claim: verdict, its whole text, printed and measured value; how it was judged unfolds."""
    readings = "; ".join(f"{name}: {verdict}" for name, verdict in row.readings.items())
    facts = {
        "where": f"{PAPERS[claim.paper]}, section {claim.section}" + (f", {claim.printed}" if claim.printed else ""),
        "what counts as the same": f"{claim.tolerance}: {claim.why}",
        "why this verdict": "" if readings else row.reason,
        "by reading": readings,
        "scale": row.scale,
        "note": claim.note,
        "all that was measured": statements.measured(row),
        "in detail": row.notes,
        "chance": chances(row),
    }
    listed = "".join(f"<dt>{name}</dt><dd>{shown(fact)}</dd>" for name, fact in facts.items() if fact)
    if row.same_as:
        link = f'<a href="#claim-{row.same_as}">{row.same_as}</a>'
        listed += f"<dt>same fact</dt><dd>judged as {link}, which states the same</dd>"
    tests = "<br>".join(f"<code>{shown(t)}</code>" for t in row.tests)
    listed += f"<dt>{'tests' if len(row.tests) > 1 else 'test'}</dt><dd>{tests}</dd>" if tests else ""
    listed += f"<dt>measure it</dt><dd><code>{shown(row.command)}</code></dd>" if row.command else ""
    listed += f"<dt>name</dt><dd>{claim.id} ({', '.join([claim.importance, claim.kind, *claim.marks])})</dd>"
    opened = " open" if claim.importance == "headline" else ""
    found = shown(statements.measured(row, short=True)) or "–"
    return (
        f'<tr id="claim-{claim.id}" data-page="{claim.notebook}" data-paper="{claim.paper}" '
        f'data-verdict="{slug(row.verdict)}" data-dataset="{claim.dataset}" data-importance="{claim.importance}" '
        f'data-total="{row.total}">'
        f'<td><span class="verdict"><span aria-hidden="true">{SIGNS[row.verdict]}</span> {row.verdict}</span></td>'
        f'<th scope="row">{shown(claim.statement)}'
        f"<details{opened}><summary>How it was judged</summary><dl>{listed}</dl></details></th>"
        f'<td data-head="{HEAD[2]}">{shown(claim.says)}</td><td data-head="{HEAD[3]}">{found}</td></tr>'
    )


def table(verdicts: pd.DataFrame, *, name: str = "ledger") -> Html:
    """The claims as a table that filters by page, paper, verdict, data set, importance and words."""
    known = {c.id: c for c in statements.load()}
    rows = "".join(_row(known[row.id], row) for row in verdicts.itertuples())
    pages = {n: page_name(n) for n in dict.fromkeys(verdicts["notebook"])}
    choices = [
        chooser("verdict", "Verdict", {slug(v): v for v in claims.VERDICTS if v in set(verdicts["verdict"])}),
        chooser("total", "About", {k: v for k, v in claims.TOTALS.items() if k in set(verdicts["total"])}),
        chooser("paper", "Paper", {p: PAPERS[p] for p in PAPERS if p in set(verdicts["paper"])}),
        chooser("page", "Section", pages),
        chooser("dataset", "Data set", {d: d for d in sorted(set(verdicts["dataset"]))}),
        chooser("importance", "Importance", {i: i for i in ("headline", "supporting", "appendix")}),
        '<label for="ledger-search">Words<input id="ledger-search" type="search" autocomplete="off"></label>',
        '<button type="reset">Show all</button>',
        f'<output aria-live="polite">{len(verdicts)} claims</output>',
    ]
    head = "".join(f'<th scope="col">{title}</th>' for title in HEAD)
    script = (HERE / "ledger.js").read_text("utf-8")
    return Html(
        f'<div class="ledger"><style>{(HERE / "ledger.css").read_text("utf-8")}</style>'
        f'<form role="search" aria-label="Filter the claims">{"".join(choices)}</form>'
        f"<table><caption>What the papers say, and what was measured.</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><script>{script}</script></div>",
        name,
    )


def section(notebook: str, verdicts: pd.DataFrame | None = None) -> Html:
    """The claims that a notebook ends with, as a plain table without filters."""
    known = {c.id: c for c in statements.for_section(notebook)}
    ledger = claims.ledger() if verdicts is None else verdicts
    rows = "".join(_row(known[row.id], row) for row in ledger.itertuples() if row.id in known)
    head = "".join(f'<th scope="col">{title}</th>' for title in HEAD)
    return Html(
        f'<div class="ledger"><style>{(HERE / "ledger.css").read_text("utf-8")}</style>'
        f"<table><caption>The {len(known)} claims of this section.</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>",
        f"claims of {notebook}",
    )


def counts(verdicts: pd.DataFrame) -> Html:
    """How many claims have each verdict: three totals that are never added up, and the headline claims among them."""
    by_total, headline = claims.counts(verdicts, "total"), claims.counts(verdicts[verdicts["importance"] == "headline"])
    names = [*(claims.TOTALS[c] for c in by_total.columns[:-1]), "headline claims"]
    head = "".join(f'<th scope="col">{n}</th>' for n in ["verdict", *names])
    rows = ""
    for verdict in claims.VERDICTS:
        cells = [*by_total.loc[verdict].iloc[:-1], headline.loc[verdict, "all"]]
        named = f'<span aria-hidden="true">{SIGNS[verdict]}</span> {verdict}'
        rows += f'<tr><th scope="row">{named}</th>{"".join(f"<td>{n}</td>" for n in cells)}</tr>'
    caption = f"<caption>{shown(claims.multiplicity(verdicts))}</caption>"
    return Html(f'<table class="table">{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>', "counts")


def picture(verdicts: pd.DataFrame, *, name: str = "claims") -> Html:
    """Printed against measured number, one mark a claim, with 95% intervals. Both axes logarithmic: units differ."""
    shown = verdicts[(verdicts["number"] > 0) & (verdicts["effect"] > 0) & verdicts["verdict"].isin(MARKERS)]
    fig, ax = plot.canvas(height=4.6)
    ends = [x for c in ("number", "effect") for x in (shown[c].min(), shown[c].max())] if len(shown) else [1, 100]
    low, high = min(ends) / 1.3, max(ends) * 1.3
    ax.plot([low, high], [low, high], color=plot.INK, linewidth=0.8, alpha=0.5, zorder=1)
    for verdict, (marker, filled) in MARKERS.items():
        part = shown[shown["verdict"] == verdict]
        if part.empty:
            continue
        ax.vlines(part["number"], part["low"].clip(lower=low), part["high"], color=plot.INK, linewidth=1, alpha=0.5)
        ax.plot(
            part["number"], part["effect"], marker=marker, linestyle="none", color=plot.INK, zorder=3,
            markerfacecolor=plot.INK if filled else plot.PAGE, markeredgecolor=plot.INK,
            label=f"{verdict} ({len(part)})",
        )  # fmt: skip
    ax.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    ax.set(xlabel="printed in the papers", ylabel="measured here")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:g}"))
    if len(shown):
        ax.legend(loc="upper left")
    within = shown[(shown["low"] <= shown["number"]) & (shown["number"] <= shown["high"])]
    alt = (
        f"Scatter of {len(shown)} claims with a number, printed value against measured value, with 95% intervals. "
        + ", ".join(f"{int((shown['verdict'] == v).sum())} {v}" for v in MARKERS)
        + f". The printed number lies in the interval of {len(within)}."
    )
    caption = (
        f"One mark a claim with a number: on the line, ours equals the papers'. {len(within)} of {len(shown)} printed "
        "numbers lie inside our 95% interval. Percentages, points, ratios and iterations share the axes, which are "
        "logarithmic. Open the ledger for each."
    )
    return plot.show(fig, name=name, alt=alt, caption=caption)


def summary(verdicts: pd.DataFrame | None = None) -> str:
    """Counts and picture for the landing page (HTML in Markdown)."""
    ledger = claims.ledger() if verdicts is None else verdicts
    return html.in_markdown(counts(ledger), picture(ledger, name="claims-summary"))


def markdown() -> str:
    """What the landing page says about the ledger; book/_ext fills it in."""
    return f"\n{summary()}\n\nEvery claim, with its test, is in [the claim ledger](claims).\n"
