"""What code of a reader's own draws from: the global generators, seeded for a while and put back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def chance(seed: int, device: str = "cpu") -> Iterator[None]:
    """Inside, torch's, numpy's and Python's global generators start from `seed`; afterwards they are as they were."""
    # Models may draw from numpy's old global generator.
    numpys, pythons = np.random.get_state(), random.getstate()  # noqa: NPY002
    with torch.random.fork_rng(devices=[torch.device(device)] if torch.device(device).type == "cuda" else []):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpys)  # noqa: NPY002
            random.setstate(pythons)
