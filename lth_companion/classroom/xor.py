"""XOR networks for exercise 1: in numpy where it is, else in Python alone, as in a browser without a network.

A network is 2-h-1: h ReLU units, one sigmoid output, biases everywhere. What `initial`, `train` and `subnet` return is
many of them, and only for these functions to read; a unit is four numbers, `(input weight, input weight, bias, output
weight)`. The two ways draw different networks and train them alike.
"""

try:
    from lth_companion.classroom.xor_arrays import ZERO_LOSS, difference, initial, loss, subnet, survivors, train, units
except ModuleNotFoundError as error:
    if error.name != "numpy":
        raise
    from lth_companion.classroom.xor_lists import (  # type: ignore[assignment]
        ZERO_LOSS,
        difference,
        initial,
        loss,
        subnet,
        survivors,
        train,
        units,
    )

__all__ = ["ZERO_LOSS", "difference", "initial", "loss", "subnet", "survivors", "train", "units"]
