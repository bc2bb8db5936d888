"""What fewer trials would have decided, for people who hold the paper: a sentence, a picture, two tables.

All is read from `results/power.json` (`claims.power_file`) and the ledger; nothing is simulated here. A sentence counts
once: those that state another's fact, settings, opinions and what other networks keep from being judged are left out.
"""

from __future__ import annotations

from html import escape
from typing import Any

import pandas as pd
from IPython.display import Markdown

from lth_companion import html
from lth_companion.claims import power as fewer
from lth_companion.claims import power_file, statements
from lth_companion.claims.power import Power
from lth_companion.claims.verdict_rule import CONTRADICTED, REPRODUCED, UNDECIDED
from lth_companion.claims.verdicts import ledger
from lth_companion.html import signed
from lth_companion.pages.status import numbered
from lth_companion.pages.words import ended
from lth_core import plot
from lth_core.plot import Html
from lth_core.untrusted_text import shown

ICLR, V1 = "beyond-trials", "beyond-v1-trials"  # the further trials of ICLR Figures 3 and 4, of v1 Figures 3 to 7
OFTEN, SELDOM = 0.8, 0.2  # of draws: the power usually asked of an experiment, and its mirror
WORDS = {3: "three", 5: "five", 10: "ten", 15: "fifteen", 20: "twenty"}
ANSWERS = (REPRODUCED, CONTRADICTED)
COLORS = {REPRODUCED: plot.SEQUENCE[3], CONTRADICTED: plot.SEQUENCE[8], UNDECIDED: plot.INK}
NONE = "*Not simulated yet:* `python -m lth_core power`."


def word(n: int) -> str:
    return WORDS.get(n, f"{n:,}")


class Told:
    """The simulation as the page tells it, of all figures that share their further trials.

    - `pool`: the figure whose networks these are; `figures`: the others, in words
    - `all`, `papers`: how many trials there are, and how many the paper has
    - `size`: trials of the draws that stand for an experiment like the paper's, or the nearest smaller one
    - `table`: one row a claim: what the ledger has, `first` (the verdict on the paper's trials), and of the draws of
      `size` the shares of verdicts, `as_all` and its `error`"""

    def __init__(self, power: Power, verdicts: pd.DataFrame, pool: str = ICLR) -> None:
        drawn = power.ledger[(power.ledger["pool"] == pool) & power.ledger["verdict"].isin(COLORS)]
        self.pool, self.figures = pool, _figures(fewer.pools()[pool])
        self.seconds, self.all, self.papers = power.seconds, int(drawn["trials"].max()), int(drawn["papers"].min())
        self.shares = fewer.shares(power)[lambda t: t["claim"].isin(drawn["claim"])]
        self.size = int(max(n for n in self.shares["size"].unique() if n <= self.papers and n < self.all))
        own = self.shares[self.shares["size"] == self.size].drop(columns="size").set_index("claim")
        rows = verdicts.set_index("id", drop=False).loc[drawn["claim"]]
        self.table = rows.assign(first=drawn["first"].to_numpy()).join(own)

    @property
    def own(self) -> pd.DataFrame:
        """The paper's own sentences, of those that all trials decide."""
        return self.table[self.table["verdict"].isin(ANSWERS) & (self.table["paper"] != "blog")]

    @property
    def more(self) -> bool:
        """Whether there are trials beyond the paper's."""
        return self.all > self.papers


def told(pool: str = ICLR) -> Told | None:
    """The published simulation of the figures whose further trials are this one's; None where there is none."""
    made = power_file.read()
    return None if made is None or pool not in {*made.ledger["pool"]} else Told(made, ledger(), pool)


def _figures(names: list[str]) -> str:
    """ "the paper's Figures 3 and 4"."""
    whose = "version 1's" if all(name.startswith("v1") for name in names) else "the paper's"
    return f"{whose} Figure{'s' * (len(names) > 1)} {html.joined([numbered(name) for name in names])}"


def result(this: Told | None) -> Markdown:
    """How much the paper's trials decide, and how much all of them."""
    if this is None:
        return Markdown(f"**Nothing on this page is measured yet.** {NONE}")
    table, n = this.table, len(this.table)
    first, final = (int(table[c].isin(ANSWERS).sum()) for c in ("first", "verdict"))
    mean = float(table[list(ANSWERS)].sum(axis=1).sum())
    if not this.more:
        return Markdown(
            f"**Nothing on this page is measured yet beyond the paper's {word(this.papers)} trials.** These decide "
            f"{first} of the {n} sentences that rest on {this.figures}; the others stay open. Any "
            f"{word(this.size)} of them decide {mean:.0f} on average."
        )
    return Markdown(
        f"**{word(this.papers).capitalize()} trials decide {first} of the {n} sentences** that rest on {this.figures}, "
        f"**{word(this.all)} decide {final}.** Another {word(this.size)} would have decided {mean:.0f} on average."
    )


def picture(this: Told | None, *, name: str = "power") -> Html:
    """How many sentences get which verdict against the number of trials, and how often each sentence gets the verdict
    that all trials give it."""
    if this is None:
        return Html("", name)
    import seaborn

    final = this.table["verdict"]
    rows = this.shares.assign(final=this.shares["claim"].map(final))
    verdicts = [v for v in COLORS if rows[v].any() or (final == v).any()]
    counted = rows.groupby("size")[verdicts].sum()
    counted.loc[this.all] = [float((final == v).sum()) for v in verdicts]
    sizes = list(counted.index)
    long = counted.rename_axis(columns="verdict").stack().rename("sentences").reset_index()
    fig, (left, right) = plot.canvas(1, 2, width=7.2, height=3.4)
    look: dict[str, Any] = dict(x="size", palette=COLORS, legend=False)
    seaborn.lineplot(long, y="sentences", hue="verdict", style="verdict", markers=True, dashes=False, ax=left, **look)
    for verdict in verdicts:
        outer = counted[verdict].iloc[[0, -1]]  # its name stands on the side where no line is, and above the axis
        falls = outer.iloc[1] < outer.iloc[0] and outer.iloc[1] > 0.1 * counted.to_numpy().max()
        left.annotate(
            verdict, (sizes[-1], counted.at[sizes[-1], verdict]), xytext=(0, -15 if falls else 6), ha="right",
            textcoords="offset points", color=COLORS[verdict],
        )  # fmt: skip
    decided = rows[rows["final"].isin(ANSWERS)]
    ends = decided.drop_duplicates("claim").assign(size=this.all, as_all=1.0)
    lines = pd.concat([decided, ends]).assign(percent=lambda t: 100 * t["as_all"])
    seaborn.lineplot(
        lines, y="percent", hue="final", units="claim", estimator=None, linewidth=1.2, alpha=0.7, ax=right, **look
    )
    left.set(xlabel="trials", ylabel="sentences", title="all sentences", ylim=(0, None))
    right.set(xlabel="trials", ylabel="percent of draws that agree", title="those that are decided", ylim=(-3, 103))
    for ax in (left, right):
        ax.set_xticks(sizes)
    many = int(decided["claim"].nunique())
    alt = (
        f"Two panels against the number of trials, {', '.join(map(str, sizes))}. Sentences on average: "
        + "; ".join(f"{v} {', '.join(f'{x:.0f}' for x in counted[v])}" for v in verdicts)
        + f". Of each of the {many} sentences that all {this.all} trials decide, the percentage of draws with the same "
        "verdict."
    )
    caption = (
        f"<strong>What how many trials decide.</strong> Left: of {len(final)} sentences, how many get each verdict, on "
        f"average over draws; at {this.all}, the ledger. Right: one line a sentence that all {this.all} trials decide, "
        "and how many of 100 draws of fewer trials give it the same verdict. A line that is high at the left is a "
        "sentence that few trials carry."
    )
    return plot.show(fig, name=name, alt=alt, caption=caption)


def settled(this: Told | None) -> Html | Markdown:
    """What all trials decided that the paper's could not, and what they took back."""
    if this is None:
        return Html("", "settled")
    if not this.more:
        command = f"python -m lth_core run {this.pool} && python -m lth_core publish {this.pool}"
        return Markdown(
            f"Only the paper's {word(this.papers)} trials are measured yet. This line trains the others: `{command}`; "
            "`python -m lth_core power` then draws from them."
        )
    turned = this.table[this.table["verdict"] != this.table["first"]]
    turned = turned.sort_values(["verdict", "importance"], key=lambda c: c.map(_rank), kind="stable")
    rows = [
        (_sentence(r), shown(r.says), r.first, ended(r), signed(shown(statements.measured(r, short=True))))
        for r in turned.itertuples()
    ]
    head = (
        "the sentence", "the paper prints", f"the paper’s {word(this.papers)}", f"all {word(this.all)}",
        "measured on all (95%)",
    )  # fmt: skip
    caption = f"The {len(rows)} sentences, of {len(this.table)}, whose verdict {word(this.all)} trials change"
    return Html(html.table(head, rows, caption=caption, aligned=False) if rows else "", "settled")


def carried(this: Told | None) -> Html:
    """Of each of the paper's sentences that all trials decide, how often draws of its size come to the same."""
    if this is None:
        return Html("", "carried")
    decided = this.own.sort_values("as_all", ascending=False, kind="stable")
    against = {REPRODUCED: CONTRADICTED, CONTRADICTED: REPRODUCED}
    rows = [
        (_sentence(r), ended(r), _percent(r.as_all, r.error), _percent(row[against[r.verdict]]), _carries(r.as_all))
        for r, (_, row) in zip(decided.itertuples(), decided.iterrows(), strict=True)
    ]
    head = (
        "the sentence", f"all {word(this.all)} trials", f"{word(this.size)} say the same", "they say the opposite",
        f"{word(this.size)} trials carry it",
    )  # fmt: skip
    caption = f"In how many of 100 draws {word(this.size)} trials give which verdict; after ± one standard error"
    return Html(html.table(head, rows, caption=caption), "carried")


def summary(this: Told | None) -> Markdown:
    """The second table in words."""
    if this is None:
        return Markdown(NONE)
    table = this.own
    held = table[table["verdict"] == REPRODUCED]
    sure, never = int((held["as_all"] >= OFTEN).sum()), int((held["as_all"] <= SELDOM).sum())
    wrong = sum(float(r[CONTRADICTED if r["verdict"] == REPRODUCED else REPRODUCED]) for _, r in table.iterrows())
    opposite = f"{wrong:.1f}" if wrong >= 0.05 else "none"
    return Markdown(
        f"Of the {len(held)} sentences of the paper that {word(this.all)} trials reproduce, **{sure}** would have been "
        f"reproduced by {word(this.size)} trials in at least 80 of 100 experiments, {never} in at most 20 of 100; for "
        f"the other {len(held) - sure - never} it is luck. An experiment of "
        f"{word(this.size)} trials gives {opposite} of the {len(table)} decided sentences the opposite verdict, on "
        "average; what it does not decide it leaves open."
    )


def still_open(this: Told | None) -> Html:
    """The sentences that all trials together leave open, with what they measure: folded away."""
    left = None if this is None else this.table[this.table["verdict"] == UNDECIDED]
    if this is None or left is None or left.empty:
        return Html("", "open")
    rows = [
        (_sentence(r), shown(r.says), signed(shown(statements.measured(r, short=True))) or html.DASH)
        for r in left.itertuples()
    ]
    table = html.table(
        ("the sentence", "the paper prints", f"measured on {word(this.all)} (95%)"), rows, aligned=False,
        caption="An interval that contains both answers",
    )  # fmt: skip
    many = f"{len(rows)} sentence{'s' * (len(rows) != 1)}"
    return Html(html.folded(f"{many} that {word(this.all)} trials leave open", table), "open")


def cost(this: Told | None) -> Markdown:
    """What the draws cost, and how many there are."""
    if this is None:
        return Markdown(NONE)
    draws = ", ".join(f"{n} of {word(int(size))}" for size, n in this.shares.groupby("size")["draws"].max().items())
    minutes = max(1, round(this.seconds / 60))
    return Markdown(
        f"Draws, each judged on all {len(this.table)} sentences: {draws}. They took {minutes} "
        f"minute{'s' * (minutes > 1)} on one core."
    )


def _rank(value: str) -> int:
    order = (*ANSWERS, UNDECIDED, "headline", "supporting", "appendix")
    return order.index(value) if value in order else len(order)


def _sentence(row: Any) -> str:
    whose = " (commentary)" if row.paper == "blog" else ""
    return f'<a href="claims.html#claim-{escape(row.id)}">{shown(row.statement)}</a>{whose}'


def _percent(share: float, error: float = float("nan")) -> str:
    return f"{100 * share:.0f}" + (f" ± {100 * error:.0f}" if error > 0 else "")


def _carries(share: float) -> str:
    return "yes" if share >= OFTEN else "hardly" if share <= SELDOM else "with luck"
