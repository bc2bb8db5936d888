"""scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, which come along with it: no file, no download."""

from __future__ import annotations

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


def _digits32(where: Path) -> Parts:
    """The digits for convolutional nets: each pixel four by four, three equal channels."""

    def enlarge(flat: NDArray[np.uint8]) -> NDArray[np.uint8]:
        square = flat.reshape(-1, 1, 8, 8).repeat(4, axis=2).repeat(4, axis=3)
        return np.ascontiguousarray(square.repeat(3, axis=1))

    pool, pool_labels, test, test_labels = _digits(where)
    return enlarge(pool), pool_labels, enlarge(test), test_labels


DIGITS = Facts(
    name="digits", title="scikit-learn's digits", checksum="4a84ed32d56f9b49", shape=(64,), train=1_257, val=180,
    test=360, fetch=_digits,
)  # fmt: skip
DIGITS32 = Facts(
    name="digits32", title="scikit-learn's digits, enlarged", checksum="b90479e84fa3bf26", shape=(3, 32, 32),
    train=1_257, val=180, test=360, fetch=_digits32,
)  # fmt: skip
