"""Vectors for convolutions: several pixels of 16 images each as one value.

A row of maps is contiguous in x and image, so that a tile of 4 pixels is one load of 64 lanes: 4 AVX-512 registers.
Starts and steps are element offsets into flat float32 arrays and are not checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numpy.typing import NDArray

from lth_core.engines.sparse.simd import (
    FLOAT,
    WIDE_REGISTERS,
    Lanes,
    _call,
    _pointer,
    intrinsic,
    kernel,
    load,
    store,
    zero,
)

SUMS = 4  # of a weight's gradient that are kept apart while images go by
IMAGES = 16  # images side by side: one AVX-512 register, two of AVX2
TILE = 4 if WIDE_REGISTERS else 2  # pixels of a tile's row, where the map is wide enough
WIDE, NARROW = IMAGES * TILE, IMAGES * 2  # lanes of a tile's row

RAW, NORMED, KEPT, ADDED, PROJECTED = range(5)  # kinds of inputs, see `forward.Source`


def inlined(function: Callable[..., Any]) -> Any:
    """A `kernel` that becomes part of those that call it."""
    return kernel(function, forceinline=True)


def zeros(n: int) -> NDArray[np.float32]:
    """`(n,)` float32 zeros that begin on a cache line; large ones on pages of 2 MB, if the system has them to give."""
    raw = np.zeros(n * 4 + 64, np.uint8)
    skip = -raw.ctypes.data % 64
    return raw[skip : skip + n * 4].view(np.float32)


def _joined(builder, parts):
    """Vectors of 16 as one; their number is a power of two."""
    while len(parts) > 1:
        n = 2 * parts[0].type.count
        order = ir.Constant(ir.VectorType(ir.IntType(32), n), list(range(n)))
        parts = [builder.shuffle_vector(a, b, order) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _parts(builder, value):
    """The vectors of 16 that make up a value: registers, so that taking them apart costs nothing."""
    if value.type.count == IMAGES:
        return [value]
    nothing = ir.Constant(value.type, ir.Undefined)
    places = [list(range(i, i + IMAGES)) for i in range(0, value.type.count, IMAGES)]
    return [builder.shuffle_vector(value, nothing, ir.Constant(ir.VectorType(ir.IntType(32), 16), p)) for p in places]


@intrinsic
def load_apart(typing, like, array, start, step):
    """Pixels `step` elements apart, as many as `like` has."""

    def build(context, builder, signature, args):
        part, at, parts = ir.VectorType(FLOAT, IMAGES), args[2], []
        for _ in range(like.n // IMAGES):
            parts.append(builder.load(_pointer(context, builder, array, args[1], at, part), align=4))
            at = builder.add(at, args[3])
        return _joined(builder, parts)

    return like(like, array, types.intp, types.intp), build


@intrinsic
def store_apart(typing, a, array, start, step):
    """Write the pixels of `a`, `step` elements apart."""

    def build(context, builder, signature, args):
        at = args[2]
        for part in _parts(builder, args[0]):
            builder.store(part, _pointer(context, builder, array, args[1], at, part.type), align=4)
            at = builder.add(at, args[3])
        return context.get_dummy_value()

    return types.void(a, array, types.intp, types.intp), build


@intrinsic
def folded(typing, a, b):
    """`b` plus all pixels of `a`, image by image."""

    def build(context, builder, signature, args):
        parts = _parts(builder, args[0])
        while len(parts) > 1:
            parts = [builder.fadd(p, q) for p, q in zip(parts[::2], parts[1::2], strict=True)]
        return builder.fadd(parts[0], args[1])

    return b(a, b), build


@intrinsic
def folded_product(typing, a, b, c):
    """`c` plus the products of `a` and `b`, image by image."""

    def build(context, builder, signature, args):
        made = args[2]
        for p, q in zip(_parts(builder, args[0]), _parts(builder, args[1]), strict=True):
            made = _call(builder, f"llvm.fma.v{IMAGES}f32", made.type, [p, q, made])
        return made

    return c(a, b, c), build


@intrinsic
def fourfold(typing, a):
    """Four sums of the lanes of a vector of 16: a quarter of the memory, and adders are idle beside multipliers."""
    four = Lanes(SUMS)

    def build(context, builder, signature, args):
        made = args[0]
        while made.type.count > SUMS:
            half = made.type.count // 2
            places = (ir.Constant(ir.VectorType(ir.IntType(32), half), list(range(i, i + half))) for i in (0, half))
            nothing = ir.Constant(made.type, ir.Undefined)
            made = builder.fadd(*(builder.shuffle_vector(made, nothing, p) for p in places))
        return made

    return four(a), build


@intrinsic
def where_active(typing, x, a):
    """The lanes of `a` where those of `x`, outputs of a rectifier, are not 0; NaN counts as active."""

    def build(context, builder, signature, args):
        nothing = ir.Constant(args[0].type, [0.0] * x.n)
        return builder.select(builder.fcmp_ordered("<=", args[0], nothing), nothing, args[1])

    return a(x, a), build


def _ask(write: int):
    @intrinsic
    def ask(typing, like, array, start):
        def build(context, builder, signature, args):
            hints = [ir.Constant(ir.IntType(32), hint) for hint in (write, 2, 1)]  # second-level cache, data
            for i in range(0, like.n, IMAGES):
                at = builder.add(args[2], ir.Constant(args[2].type, i))
                line = _pointer(context, builder, array, args[1], at, ir.IntType(8))
                _call(builder, "llvm.prefetch.p0", ir.VoidType(), [line, *hints])
            return context.get_dummy_value()

        return types.void(like, array, types.intp), build

    return ask


# Ask for the cache lines of as many elements as `like` has, soon to be read or written. May lie beyond the array's end.
ask_to_read, ask_to_write = _ask(0), _ask(1)


@intrinsic
def number(typing, array, at):
    """Element `at` of an array, without a look at whether `at` is negative: half the work of a short list."""

    def build(context, builder, signature, args):
        data = context.make_array(array)(context, builder, args[0]).data
        return builder.load(builder.gep(data, [args[1]]))

    return array.dtype(array, types.intp), build


def _where(larger: bool):
    @intrinsic
    def choose(typing, a, b, d):
        def build(context, builder, signature, args):
            above = builder.fcmp_ordered(">", args[0], args[1])
            above = builder.or_(above, builder.fcmp_unordered("uno", args[0], args[0]))
            nothing = ir.Constant(args[2].type, [0.0] * a.n)
            return builder.select(above, args[2], nothing) if larger else builder.select(above, nothing, args[2])

        return a(a, b, d), build

    return choose


# The lanes of `d` where those of `a` are larger than those of `b`, or where they are not; NaN is larger than anything.
where_larger, where_not_larger = _where(True), _where(False)


@intrinsic
def larger(typing, a, b):
    """The larger of two vectors, lane by lane; NaN passes."""

    def build(context, builder, signature, args):
        above = builder.fcmp_ordered(">", args[0], args[1])
        above = builder.or_(above, builder.fcmp_unordered("uno", args[0], args[0]))
        return builder.select(above, args[0], args[1])

    return a(a, b), build


@inlined
def clear(array, to, size):
    """Zeros in `size` elements, a multiple of 16."""
    z = zero(16)
    for i in range(0, size, IMAGES):
        store(z, array, to + i)


@inlined
def move(array, source, to, size):
    """Copy `size` elements, a multiple of 16, within an array."""
    z = zero(16)
    for i in range(0, size, IMAGES):
        store(load(z, array, source + i), array, to + i)
