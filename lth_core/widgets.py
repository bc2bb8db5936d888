"""The controls that readers move, each with its data in a module of its own."""

from lth_core.conclude import Conclude
from lth_core.explorer import TicketExplorer
from lth_core.xor_live import XorLive

__all__ = ["Conclude", "TicketExplorer", "XorLive"]
