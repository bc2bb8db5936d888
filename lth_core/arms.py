"""Every arm: where its mask comes from, what is drawn for it, what figures call it and how they draw it. How its
weights start is a function in `starts`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Arm:
    """What a row's network is besides its mask's size: the ticket itself, or one of its controls.

    - `title`: in legends and sentences
    - `mask`: "ticket" the ticket's own, "shuffled" the ticket's with its entries moved inside each layer, "random"
      drawn in the ticket's size, "initial" cut from weights before training
    - `redrawn`: something is drawn for it, so that one ticket may have several copies (replicates)
    - `grows`: its trained weights decide what the next round prunes, so a store keeps them
    - `look`: (colour on a light page, on a dark page, marker, dashes); None where no figure draws it by its name
    """

    name: str
    title: str
    mask: str = "ticket"
    redrawn: bool = True
    grows: bool = False
    look: tuple[str, str, str, tuple[float, ...]] | None = None


# Lightness alone tells the arms apart (5 steps of L* or more), so greyscale print and colour-blind readers lose
# nothing; marker and dashes say it once more.
KNOWN_ARMS = (
    # mask with its initial weights
    Arm(name="ticket", title="winning ticket", redrawn=False, grows=True, look=("#00528f", "#adc9fe", "o", ())),
    # same mask, weights redrawn from the initial distribution
    Arm(name="reinit", title="reinitialised", look=("#dd5b26", "#fa733c", "s", (5, 2))),
    # v1: surviving initial values moved to random positions inside their layer
    Arm(name="shuffle", title="shuffled", mask="shuffled", look=("#018945", "#08bf64", "^", (7, 2, 1, 2))),
    # random mask of the ticket's size, weights redrawn
    Arm(name="random_sparsity", title="random sparse network", mask="random",
        look=("#ae33a6", "#fe84f3", "D", (2, 1.5))),
    # F.3: same mask, weights redrawn from the ticket's own initial values
    Arm(name="reinit_from_ticket", title="redrawn from the ticket",
        look=("#bb8901", "#ba8800", "P", (4, 1.5, 1, 1.5, 1, 1.5))),
    # beyond: the ticket's signs, one magnitude per layer (its initial standard deviation; Zhou et al. 2019)
    Arm(name="signs", title="signs of the ticket, one size", redrawn=False),
    # beyond: the signs of `reinit` of the same replicate, one magnitude per layer
    Arm(name="random_signs", title="random signs, one size"),
    # beyond: the ticket's signs, the magnitudes of `reinit` of the same replicate
    Arm(name="reinit_signs", title="signs of the ticket, fresh sizes"),
    # F.7: ticket plus Gaussian noise of `sigma` standard deviations of the layer's initialisation
    Arm(name="noise", title="ticket plus noise", look=("#004b55", "#44e7ff", "X", (1, 1))),
    # F.4: mask from the magnitudes at iteration 0
    Arm(name="prune_at_init", title="pruned before training", mask="initial", redrawn=False,
        look=("#76001a", "#fed6d4", "<", (9, 2))),
    # Appendix B: training goes on after each cut, without a reset
    Arm(name="continued", title="training continued", redrawn=False, grows=True,
        look=("#201584", "#f0e7fe", ">", (6, 1.5, 2, 1.5))),
)  # fmt: skip
ARMS = {arm.name: arm for arm in KNOWN_ARMS}
