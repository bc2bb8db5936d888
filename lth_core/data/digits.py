"""scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, which come along with it: no file, no download."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lth_core.data.base import Facts, Parts
from lth_core.draws import generator


def _digits(where: Path) -> Parts:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images, labels = (images * 255 / 16).round().astype(np.uint8), labels.astype(np.uint8)
    order = generator("digits").permutation(len(labels))  # the file is ordered by writer
    pool, test = order[360:], order[:360]
    return images[pool], labels[pool], images[test], labels[test]


def _enlarged(times: int) -> Callable[[Path], Parts]:
    """The digits for convolutional nets: each pixel so many times in each direction, three equal channels."""

    def enlarge(flat: NDArray[np.uint8]) -> NDArray[np.uint8]:
        square = flat.reshape(-1, 1, 8, 8).repeat(times, axis=2).repeat(times, axis=3)
        return np.ascontiguousarray(square.repeat(3, axis=1))

    def fetch(where: Path) -> Parts:
        pool, pool_labels, test, test_labels = _digits(where)
        return enlarge(pool), pool_labels, enlarge(test), test_labels

    return fetch


DIGITS = Facts(
    name="digits", title="scikit-learn's digits", checksum="4a84ed32d56f9b49", shape=(64,), train=1_257, val=180,
    test=360, fetch=_digits,
)  # fmt: skip
DIGITS16 = Facts(
    name="digits16", title="scikit-learn's digits, enlarged", checksum="94be4eeaab971136", shape=(3, 16, 16),
    train=1_257, val=180, test=360, fetch=_enlarged(2),
)  # fmt: skip
DIGITS32 = replace(DIGITS16, name="digits32", checksum="b90479e84fa3bf26", shape=(3, 32, 32), fetch=_enlarged(4))
