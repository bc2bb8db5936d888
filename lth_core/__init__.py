"""The Lottery Ticket Hypothesis, measured again: an experiment is a table, one row is one network."""

from lth_core.spec import Spec

__all__ = ["Spec"]
__version__ = "0.1.0"
