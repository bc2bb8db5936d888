"""The sentences of the XOR page, filled from its own networks and from what the paper prints."""

from __future__ import annotations

from IPython.display import Markdown

from lth_companion.experiments import xor
from lth_companion.experiments.xor_page import Page
from lth_companion.figures.xor import BEST, BLIND, FIGURE1
from lth_companion.html import signed

ONCE, OUTPUT, INPUT = "one-shot product", "iterative output", "iterative input"


def printed() -> Markdown:
    """What the paper claims, in numbers."""
    two, ten, tickets = FIGURE1[2], FIGURE1[10], xor.PRINTED[BEST][2]
    return Markdown(
        f"In numbers: **{two[0]}%** of random two-unit networks end with the right decision boundary and {two[1]}% "
        f"reach zero loss, against **{ten[0]}%** and {ten[1]}% with ten units. Of all trials, {tickets[0]}% and "
        f"{tickets[1]}% end with both a successful ten-unit network and a successful two-unit ticket."
    )


def ties(page: Page) -> Markdown:
    """Which two-unit networks count as right only with ties."""
    two = page.two
    right = two[two.right].cluster.value_counts().reindex(range(4), fill_value=0) / page.study.trials
    return Markdown(
        f"Of the two-unit networks, {two.right.mean():.1%} count as right with ties ({FIGURE1[2][0]}% in "
        f"the paper): {right[0]:.1%} from group A, {right[1]:.1%} from B and {right[3]:.1%} from D. Without ties, "
        f"{xor.judge(two, tie=0.0).right.mean():.1%} would."
    )


def matches(page: Page) -> Markdown:
    """How many rates of Figure 1 are the paper's."""
    gap = (page.rates.measured - page.rates.paper).abs()
    return Markdown(
        f"**{int(page.rates.matches.sum())} of {len(page.rates)} rows match**; the largest difference is "
        f"{gap.max():.1f} points. A row matches when the 95% interval of the difference between our count and the "
        "paper's, itself a count of 1,000 networks, contains zero. (With that rule one true row in twenty fails by "
        "chance.)"
    )


def gain(page: Page, success: str, first: str, second: str) -> str:
    """By how much two-unit tickets of one strategy beat those of another."""
    middle, low, high = xor.gain(page.tickets, success, 2, first, second)
    return signed(f"{middle:+.1f} points (95% interval {low:+.1f} to {high:+.1f})")


def controls(page: Page) -> Markdown:
    """Tickets against both controls."""
    return Markdown(
        "With two units left, winning tickets beat blind pruning by "
        f"**{gain(page, 'zero', BEST, BLIND)}** for zero loss and by "
        f"{gain(page, 'right', BEST, BLIND)} for the right boundary. Blind pruning against fresh "
        f"weights: {gain(page, 'zero', BLIND, 'reinit')} for zero loss. If that last interval contains "
        "zero, old weights are of no use by themselves: it matters *which* units keep them."
    )


def ticket_matches(page: Page) -> Markdown:
    """How many rates of Figure 2 are the paper's, and rates among tickets whose parent succeeds."""
    rows = page.ticket_rates[page.ticket_rates.paper.notna()]
    ok = rows.groupby("hidden").matches.agg(["sum", "size"]).astype(int)
    given = xor.rates(page.tickets, given_parent=True).query(f"strategy == '{BEST}'").set_index(["hidden", "success"])

    def of_parents(hidden: int, success: str) -> str:
        row = given.loc[(hidden, success)]
        return f"{row.measured:.1f}% (printed: {row.paper:g}%)"

    return Markdown(
        f"**Rows that match: {ok['sum'][10]} of {ok['size'][10]} at ten units, {ok['sum'][4]} of {ok['size'][4]} at "
        f"four, {ok['sum'][2]} of {ok['size'][2]} at two.** (The ten-unit rows are one set of networks here, so they "
        "match or miss together; the paper prints a different count in each row.) Among trials whose ten-unit network "
        f"succeeds, the two-unit ticket succeeds in {of_parents(2, 'zero')} for zero loss and "
        f"{of_parents(2, 'right')} for the boundary, the four-unit ticket in {of_parents(4, 'zero')} and "
        f"{of_parents(4, 'right')}."
    )


def takeaway(page: Page) -> Markdown:
    """What to take away."""
    at, left = page.at, page.left
    return Markdown(f"""
- **Being able to represent is not being able to learn.** Two units can compute XOR exactly; started at random, they
  reach zero loss in {at["zero", 2]:.0f}% of trials, ten units in {at["zero", 10]:.0f}%.
- **Big networks draw more tickets.** Training fails when too many units die early. With more units, the odds are
  better that some start in a place from which they can serve.
- **Pruning finds those units.** Kept with their initial weights, two of ten succeed in
  {left[BEST, "zero"]:.0f}% of trials; two picked blindly in {left[BLIND, "zero"]:.0f}%, two fresh
  ones in {left["reinit", "zero"]:.0f}%.
""")


def verdict(page: Page, second: str) -> str:
    """Whether more product-ranked tickets reach zero loss than those of another strategy."""
    _, low, high = xor.gain(page.tickets, "zero", 2, BEST, second)
    return "reproduced" if low > 0 else "contradicted" if high < 0 else "undecided"


def lead(second: str, success: int) -> str:
    """By how much the paper's product-ranked tickets beat another strategy's, as printed."""
    return f"{xor.PRINTED[BEST][2][success] - xor.PRINTED[second][2][success]:+.1f}"


def not_reproduced(page: Page) -> Markdown:
    """What did not come out as printed."""
    ours, paper = page.left, xor.PRINTED[BEST][2]
    lowest = min(rates[BEST] for rates in page.tickets_at.values())
    return Markdown(f"""
- **How often two-unit tickets work.** {ours[BEST, "zero"]:.1f}% reach zero loss here and {ours[BEST, "right"]:.1f}% the
  right boundary; the paper prints {paper[1]}% and {paper[0]}%. Over the learning rates in the table above, the
  lowest zero-loss rate is {lowest:.1f}%.
- **Ranking by product is best: {verdict(page, OUTPUT)}.** Zero loss, product against input:
  {gain(page, "zero", BEST, INPUT)}; against output: {gain(page, "zero", BEST, OUTPUT)}. The paper has
  {lead(INPUT, 1)} and {lead(OUTPUT, 1)}.
- **By how much iterative pruning beats one-shot pruning.** Zero loss: {gain(page, "zero", BEST, ONCE)}; boundary:
  {gain(page, "right", BEST, ONCE)}. The paper has {lead(ONCE, 1)} and {lead(ONCE, 0)}.
- **What "right boundary" means.** The paper's counts come out only with a fitted tie tolerance that admits networks
  which decide nothing. Whether the paper counted them too, we cannot know.
- **The paper against itself.** Its ten-unit counts differ from row to row, so its strategies did not share their
  ten-unit networks; and the text quotes the input row's counts for the product ranking.

A different optimizer is a natural suspect for the first three: the paper names none.
""")
