"""torch's sparse matrices (CSR) times a dense batch, beside the dense product on one core: where sparse ones pay.

    python benchmarks/csr.py

Two layers' weights at several densities, a batch of 60 columns; medians of 50, dense and sparse in turns. Above 1 the
sparse product is the quicker one.
"""

from __future__ import annotations

import time
from statistics import median

import torch

SHAPES = ((300, 784), (1_024, 1_024))
DENSITIES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
BATCH, REPEATS = 60, 50


def ratio(shape: tuple[int, int], density: float) -> float:
    """Seconds of the dense product over those of the sparse one."""
    torch.manual_seed(0)
    weight = torch.randn(shape) * (torch.rand(shape) < density)
    sparse, x = weight.to_sparse_csr(), torch.randn(shape[1], BATCH)
    taken: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(REPEATS):
        for is_sparse, matrix in ((False, weight), (True, sparse)):
            start = time.perf_counter()
            matrix @ x
            taken[is_sparse].append(time.perf_counter() - start)
    return median(taken[False]) / median(taken[True])


def main() -> None:
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, one thread, batch {BATCH}")
    print(f"{'density':>12}" + "".join(f"{d:>8.0%}" for d in DENSITIES))
    for shape in SHAPES:
        print(f"{shape[0]:>5} x {shape[1]:<5}" + "".join(f"{ratio(shape, d):8.2f}" for d in DENSITIES))


if __name__ == "__main__":
    main()
