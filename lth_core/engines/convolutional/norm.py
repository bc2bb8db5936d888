"""Batch normalisation between the passes over the maps, the optimizers, and the copies of weights. Small, compiled."""

from __future__ import annotations

import numpy as np

from lth_core.engines.sparse.kernels import ADAM, MOMENTUM, TINY
from lth_core.engines.sparse.simd import kernel

EPSILON, KEEP = 1e-5, 0.9  # torch's defaults: added to a variance; how much of a running statistic stays


@kernel
def normalize(sums, count, gain, bias, running_mean, running_var, scale, shift, mul, sub):
    """From `sums` `(channel * 2,)` of `count` numbers a channel: the normed output is z mul + sub, the layer's
    z scale + shift. Running statistics move as torch's do (the variance without bias)."""
    for c in range(gain.size):
        mean = sums[2 * c] / count
        variance = sums[2 * c + 1] / count - mean * mean
        variance = 0.0 if variance < 0 else variance  # NaN passes
        inverse = 1 / np.sqrt(variance + EPSILON)
        running_mean[c] = KEEP * running_mean[c] + (1 - KEEP) * mean
        running_var[c] = KEEP * running_var[c] + (1 - KEEP) * variance * count / (count - 1)
        mul[c], sub[c] = inverse, -mean * inverse
        scale[c], shift[c] = gain[c] * inverse, bias[c] - mean * inverse * gain[c]


@kernel
def freeze(gain, bias, running_mean, running_var, scale, shift):
    """`scale` and `shift` of `normalize` from running statistics, for evaluation."""
    for c in range(gain.size):
        inverse = 1 / np.sqrt(np.float64(running_var[c]) + EPSILON)
        scale[c], shift[c] = gain[c] * inverse, bias[c] - running_mean[c] * inverse * gain[c]


@kernel
def differentiate(sums, column, count, gain, mul, sub, times, over, plus, gain_gradient, bias_gradient):
    """From `sums` `(channel * 3,)` of a gradient d, and in `column` of d times the normed outputs: the gradients of
    gain and bias, and the numbers by which d times + z over + plus is the gradient of z."""
    for c in range(gain.size):
        of_d, of_product = sums[3 * c], sums[3 * c + column]
        gain_gradient[c], bias_gradient[c] = of_product, of_d
        factor, share = np.float64(gain[c]) * mul[c], of_product / count
        times[c], over[c] = factor, -factor * share * mul[c]
        plus[c] = -factor * (of_d / count + share * sub[c])


@kernel
def bias_gradients(sums, gradient):
    """Of a layer without normalisation."""
    for c in range(gradient.size):
        gradient[c] = sums[3 * c]


@kernel
def update(w, m, v, g, kind, decay, step, root):
    """torch's Adam, SGD or SGD with momentum 0.9; `step` and `root` as in `kernels.Rule`."""
    if decay != 0:
        for i in range(w.size):
            g[i] += decay * w[i]
    if kind == ADAM:
        for i in range(w.size):
            m[i] = (m[i] + (g[i] - m[i]) * np.float32(0.1) + TINY) - TINY
            v[i] = v[i] * np.float32(0.999) + g[i] * g[i] * np.float32(0.001)
            w[i] -= step * m[i] / (np.sqrt(v[i]) * root + np.float32(1e-8))
    elif kind == MOMENTUM:
        for i in range(w.size):
            m[i] = (m[i] * np.float32(0.9) + g[i] + TINY) - TINY
            w[i] -= step * m[i]
    else:
        for i in range(w.size):
            w[i] -= step * g[i]


@kernel
def refresh(w, back_w, order):
    """The weights of the forward lists from those of the backward lists."""
    for i in range(w.size):
        w[i] = back_w[order[i]]
