"""The controls that readers move, each with its data in a module of its own."""

from lth_companion.widgets.by_round import ByRound
from lth_companion.widgets.conclude import Conclude
from lth_companion.widgets.explorer import TicketExplorer
from lth_companion.widgets.highlight import Highlight
from lth_companion.widgets.train_here import TrainHere
from lth_companion.widgets.xor_live import XorLive

__all__ = ["ByRound", "Conclude", "Highlight", "TicketExplorer", "TrainHere", "XorLive"]
