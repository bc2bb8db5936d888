"""All tests that claims may name, and what the ledger must know of those that a claim does name.

To add one: write it among its kind (`lth_core.judge.comparisons`, `curves`, `bounds`, `sizes`: on a table of networks;
`opened_tickets`; `xor`; `printed_settings`), decorate it with `claim_test`, which carries all the ledger must know, and
name it in `claims.yaml`.
"""

from __future__ import annotations

from lth_companion.claims import opened_tickets, printed_settings, xor
from lth_companion.claims.sizes import NETWORKS
from lth_companion.claims.statements import Claim, Part
from lth_core.errors import UsageError
from lth_core.judge.result import Test, Traits, tests_in, traits_of

TESTS: dict[str, Test] = {**NETWORKS, **tests_in(opened_tickets, xor, printed_settings)}


def named(name: str) -> Test:
    """The test of this name; UsageError where there is none."""
    if name not in TESTS:
        raise UsageError(f"claim test {name!r} does not exist; a test is a function with `judge.claim_test` above it.")
    return TESTS[name]


def traits(part: Part) -> Traits:
    """What the test of a part declares."""
    return traits_of(named(part.test))


def unit_of(part: Part) -> str:
    """The unit of a part's effect."""
    return traits(part).unit_of(part.arguments)


def number_of(claim: Claim) -> float:
    """The printed number that the effect of the first test stands beside; NaN where there is none or nothing is
    measured (counts and settings)."""
    return traits(claim.parts[0]).number(claim.parts[0].arguments) if claim.tests else float("nan")


def total_of(claim: Claim) -> str:
    """Which total a claim counts in: trained networks, XOR or, where all its tests are about the set-up, settings."""
    if not claim.tests:
        return "xor" if claim.dataset == "xor" else "networks"
    totals = [traits(part).total for part in claim.parts]
    return next((t for t in totals if t != "settings"), "settings")


def counted(claim: Claim) -> bool:
    """Whether a claim is about the papers' set-up (counts, settings), not about trained networks."""
    return bool(claim.tests) and all(traits(part).needs == "settings" for part in claim.parts)
