"""Where notebooks look for the control that trains: see `train_your_own`."""

from lth_core.train_your_own import TrainYourOwn, draw, grow, published, row, rows

__all__ = ["TrainYourOwn", "draw", "grow", "published", "row", "rows"]
