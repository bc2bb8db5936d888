"""XOR networks for exercise 1 in Python alone: a network is a list of 4h + 1 numbers, each unit's two input weights,
bias and output weight, and last the output's bias. `xor_arrays` trains the same in numpy, hundreds of times as fast."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import NormalDist

ZERO_LOSS = 0.05  # as `lth_companion.experiments.xor_counts` says
POINTS = ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0))  # two inputs and their class
Network = list[float]


def initial(trials: int, hidden: int, sd: float = 0.1) -> list[Network]:
    """Initial networks: normal(0, sd) redrawn beyond 2 sd, biases 0. Network i is the same in any number."""
    return [_drawn(random.Random(f"{hidden} {i}"), hidden, sd) for i in range(trials)]


def _drawn(draws: random.Random, hidden: int, sd: float) -> Network:
    def value() -> float:
        while abs(drawn := draws.gauss(0, 1)) > 2:
            pass
        return sd * drawn

    return [v for _ in range(hidden) for v in (value(), value(), 0.0, value())] + [0.0]


def train(networks: Sequence[Network], iterations: int = 2_000, lr: float = 1.0) -> list[Network]:
    """The networks after full-batch gradient descent on the mean cross-entropy of four points."""
    return [_trained(network, iterations, lr / len(POINTS)) for network in networks]


def _trained(network: Network, iterations: int, step: float) -> Network:
    units, shift = [network[i : i + 4] for i in range(0, len(network) - 1, 4)], network[-1]
    for _ in range(iterations):
        logits = [shift] * 4
        at_work = []  # of each unit its four numbers and what it says to the four points
        for x, y, b, v in units:
            inside = (b, b + y, b + x, b + x + y)
            at_work.append((x, y, b, v, inside))
            for point in range(4):
                if inside[point] > 0:
                    logits[point] += v * inside[point]
        # step times the gradient with respect to each logit
        error = [step * (_sigmoid(logit) - wanted) for logit, (_, _, wanted) in zip(logits, POINTS, strict=True)]
        units = []
        for x, y, b, v, (i0, i1, i2, i3) in at_work:
            e0 = error[0] if i0 > 0 else 0.0
            e1 = error[1] if i1 > 0 else 0.0
            e2 = error[2] if i2 > 0 else 0.0
            e3 = error[3] if i3 > 0 else 0.0
            units.append([
                x - v * (e2 + e3), y - v * (e1 + e3), b - v * (e0 + e1 + e2 + e3),
                v - (e0 * i0 + e1 * i1 + e2 * i2 + e3 * i3),
            ])  # fmt: skip
        shift -= sum(error)
    return [number for unit in units for number in unit] + [shift]


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0


def loss(networks: Sequence[Network]) -> list[float]:
    """Mean cross-entropy of the four points, one number a network; below `ZERO_LOSS` all four are told apart."""
    return [sum(_cost(network, *point) for point in POINTS) / len(POINTS) for network in networks]


def _cost(network: Network, a: int, b: int, wanted: int) -> float:
    logit = network[-1] + sum(v * max(0.0, a * x + b * y + c) for x, y, c, v in units([network])[0])
    margin = logit if wanted else -logit
    return math.log1p(math.exp(-margin)) if margin > -30 else -margin


def units(networks: Sequence[Network]) -> list[list[tuple[float, float, float, float]]]:
    """Of each network its units, four numbers each."""
    return [[(n[i], n[i + 1], n[i + 2], n[i + 3]) for i in range(0, len(n) - 1, 4)] for n in networks]


def survivors(scores: Sequence[Sequence[float]], keep: int) -> list[list[int]]:
    """The `keep` highest-scoring units of each network in ascending order; equal scores fall in index order.
    `scores`: of each network a number a unit."""
    return [sorted(sorted(range(len(own)), key=lambda i: -own[i])[:keep]) for own in scores]


def subnet(networks: Sequence[Network], kept: Sequence[Sequence[int]]) -> list[Network]:
    """The networks reduced to these units: with initial weights, that is the rewound ticket."""
    return [
        [v for i in own for v in network[4 * i : 4 * i + 4]] + [network[-1]]
        for network, own in zip(networks, kept, strict=True)
    ]


def difference(k1: float, n1: int, k2: float, n2: int, level: float = 0.95) -> tuple[float, float, float]:
    """p1 - p2 of two independent proportions with Newcombe's interval, as `xor_counts.difference` has it."""
    p1, p2 = k1 / n1, k2 / n2
    (low1, high1), (low2, high2) = _wilson(p1, n1, level), _wilson(p2, n2, level)
    return p1 - p2, p1 - p2 - math.hypot(p1 - low1, high2 - p2), p1 - p2 + math.hypot(high1 - p1, p2 - low2)


def _wilson(p: float, n: int, level: float) -> tuple[float, float]:
    z = NormalDist().inv_cdf(0.5 + level / 2)
    shrink = 1 / (1 + z * z / n)
    middle, half = shrink * (p + z * z / (2 * n)), shrink * z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(middle - half, 0.0), min(middle + half, 1.0)
