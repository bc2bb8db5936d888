"""Vectors of float32 as values inside Numba kernels, so that sums stay in registers: `a = fma(w, load(a, x, i), a)`.

A vector has 16, 64 or 128 lanes; LLVM maps it to whatever registers the machine has (4 AVX-512 registers for 64 lanes).
Starts of loads and stores are element offsets into flat arrays and are not checked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llvmlite import binding, ir
from numba import extending, njit
from numba.core import types
from numba.extending import models, register_model

from lth_core.engines.sparse.kernel_cache import Sealed

FLOAT = ir.FloatType()
_FEATURES = binding.get_host_cpu_features()
VECTORS = "AVX-512" if _FEATURES.get("avx512f") else "AVX2" if _FEATURES.get("avx2") else ""  # "": others
WIDE_REGISTERS = VECTORS == "AVX-512"  # 32 of 16 numbers; others have 16 of 8 or less
intrinsic: Any = extending.intrinsic  # its annotations describe the making of intrinsics, not their use
SOURCES = sorted(Path(__file__).resolve().parents[1].rglob("*.py"))  # of all engines: kernels call each other
STAMP = hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES)).hexdigest()


def _stamp(function: Callable[..., Any]) -> str:
    """Of all sources that a kernel may be compiled from: the engines', and its own file where it is none of these."""
    own = Path(function.__code__.co_filename).resolve()
    return STAMP if own in SOURCES else hashlib.sha256(STAMP.encode() + own.read_bytes()).hexdigest()


def kernel(function: Callable[..., Any], **options: Any) -> Any:
    """`numba.njit` without the interpreter's lock, kept on disk until any of `SOURCES`, or its own file, changes.

    No "nnan" or "ninf": a diverged network must stay NaN. No "reassoc": `exp` needs its order, sums have `total`.
    No "contract": LLVM fused other products in the process that compiles a kernel than in those that load it from disk,
    so that the same row came out with other last bits.
    No "nrt", so no allocation inside: counting references to arrays took two thirds of the time of a short row."""
    flags: dict[str, Any] = dict(nogil=True, _nrt=False, error_model="numpy", fastmath={"nsz"})
    try:
        made: Any = njit(cache=True, **flags, **options)(function)
        # Numba itself watches only the file of the outermost kernel, and writes its index before the code that this
        # points to: under the same name, a process killed in between would leave there what older sources gave.
        cache, stamp = made._cache, _stamp(function)
        name = f"{cache._impl.filename_base}-{stamp[:12]}"
        cache._cache_file = Sealed(cache._cache_path, name, stamp)
    except RuntimeError:  # neither this folder nor a home can be written: every process compiles for itself
        made = njit(**flags, **options)(function)
    return made


def inlined(function: Callable[..., Any]) -> Any:
    """A `kernel` that becomes part of those that call it: vectors passed to a real call would go through memory."""
    return kernel(function, forceinline=True)


class Lanes(types.Type):
    """Numba type of a vector of `n` float32."""

    def __init__(self, n: int) -> None:
        self.n = n
        super().__init__(name=f"Lanes({n})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, lanes):
        super().__init__(manager, lanes, ir.VectorType(FLOAT, lanes.n))


def _pointer(context, builder, array_type, array, start, element):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [start]), element.as_pointer())


def _call(builder, name, result, args, fastmath=()):
    """Call LLVM's own function `name`, e.g. "llvm.fma.v64f32"."""
    known = builder.module.globals.get(name)
    function = known or ir.Function(builder.module, ir.FunctionType(result, [a.type for a in args]), name)
    return builder.call(function, args, fastmath=fastmath)


def _spread(builder, x, n):
    one = builder.insert_element(ir.Constant(ir.VectorType(FLOAT, n), ir.Undefined), x, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), n), [0] * n))


@intrinsic(prefer_literal=True)
def zero(typing, n):
    """`n` zeros; `n` is a constant."""
    lanes = Lanes(n.literal_value)

    def build(context, builder, signature, args):
        return ir.Constant(ir.VectorType(FLOAT, lanes.n), [0.0] * lanes.n)

    return lanes(n), build


@intrinsic
def spread(typing, like, x):
    """The number `x` in every lane of a vector as long as `like`."""

    def build(context, builder, signature, args):
        return _spread(builder, args[1], like.n)

    return like(like, types.float32), build


@intrinsic
def load(typing, like, array, start):
    """As many elements of a float32 or uint8 `array` as `like` has lanes."""
    bytes_ = array.dtype == types.uint8

    def build(context, builder, signature, args):
        vector = ir.VectorType(FLOAT, like.n)
        stored = ir.VectorType(ir.IntType(8), like.n) if bytes_ else vector
        value = builder.load(_pointer(context, builder, array, args[1], args[2], stored), align=1 if bytes_ else 4)
        return builder.uitofp(value, vector) if bytes_ else value

    return like(like, array, types.intp), build


@intrinsic
def store(typing, a, array, start):
    """Write the lanes of `a` into the float32 `array`."""

    def build(context, builder, signature, args):
        builder.store(args[0], _pointer(context, builder, array, args[1], args[2], args[0].type), align=4)
        return context.get_dummy_value()

    return types.void(a, array, types.intp), build


@intrinsic
def fma(typing, a, b, c):
    """a * b + c, rounded once; `a` may be a number."""

    def build(context, builder, signature, args):
        left = args[0] if isinstance(a, Lanes) else _spread(builder, args[0], c.n)
        return _call(builder, f"llvm.fma.v{c.n}f32", args[2].type, [left, args[1], args[2]])

    return c(a if isinstance(a, Lanes) else types.float32, b, c), build


def _binary(operation):
    @intrinsic
    def of_two(typing, a, b):
        def build(context, builder, signature, args):
            return getattr(builder, operation)(*args)

        return a(a, b), build

    return of_two


add, subtract, multiply, divide = (_binary(operation) for operation in ("fadd", "fsub", "fmul", "fdiv"))


@intrinsic
def root(typing, a):
    """Square root of every lane."""

    def build(context, builder, signature, args):
        return _call(builder, f"llvm.sqrt.v{a.n}f32", args[0].type, args)

    return a(a), build


@intrinsic
def where(typing, array, start, a):
    """The lanes of `a` where the uint8 `array` is not 0, and 0 elsewhere, whatever `a` holds there."""

    def build(context, builder, signature, args):
        stored = ir.VectorType(ir.IntType(8), a.n)
        value = builder.load(_pointer(context, builder, array, args[0], args[1], stored), align=1)
        kept = builder.icmp_unsigned("!=", value, ir.Constant(stored, [0] * a.n))
        return builder.select(kept, args[2], ir.Constant(args[2].type, [0.0] * a.n))

    return a(array, types.intp, a), build


@intrinsic
def total(typing, a):
    """Sum of all lanes, in the order that is fastest on the machine."""

    def build(context, builder, signature, args):
        zero_and_a = [ir.Constant(FLOAT, -0.0), args[0]]
        return _call(builder, f"llvm.vector.reduce.fadd.v{a.n}f32", FLOAT, zero_and_a, fastmath=("reassoc",))

    return types.float32(a), build


@intrinsic
def nonzero(typing, array, start):
    """Which of 64 elements of the uint8 `array` are not 0, as the bits of a uint64."""

    def build(context, builder, signature, args):
        stored = ir.VectorType(ir.IntType(8), 64)
        value = builder.load(_pointer(context, builder, array, args[0], args[1], stored), align=1)
        return builder.bitcast(builder.icmp_unsigned("!=", value, ir.Constant(stored, [0] * 64)), ir.IntType(64))

    return types.uint64(array, types.intp), build


@intrinsic
def positive(typing, a):
    """The lanes of `a`, 0 where they are negative; NaN passes."""

    def build(context, builder, signature, args):
        nothing = ir.Constant(args[0].type, [0.0] * a.n)
        return builder.select(builder.fcmp_ordered("<=", args[0], nothing), nothing, args[0])

    return a(a), build


@intrinsic
def present(typing, a):
    """Which of 64 lanes are not 0, as the bits of a uint64."""

    def build(context, builder, signature, args):
        there = builder.fcmp_unordered("!=", args[0], ir.Constant(args[0].type, [0.0] * 64))
        return builder.bitcast(there, ir.IntType(64))

    return types.uint64(a), build


@intrinsic
def store_pairs(typing, array, start, out, at):
    """Write 64 elements of the uint8 `array` as 32 uint32: element i in the low half, i + 32 in the high.

    A half is the upper half of a float32, which holds a byte exactly: half the cache, and quick to load."""

    def build(context, builder, signature, args):
        stored, word, wide = (ir.VectorType(t, 32) for t in (ir.IntType(8), ir.IntType(32), FLOAT))
        half = ir.Constant(ir.IntType(64), 32)
        bits = []
        for begin in (args[1], builder.add(args[1], half)):
            value = builder.load(_pointer(context, builder, array, args[0], begin, stored), align=1)
            bits.append(builder.bitcast(builder.uitofp(value, wide), word))
        both = builder.or_(builder.lshr(bits[0], ir.Constant(word, [16] * 32)), bits[1])
        builder.store(both, _pointer(context, builder, out, args[2], args[3], word), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, out, types.intp), build


def _half(of_pair):
    @intrinsic
    def load_half(typing, like, array, start):
        def build(context, builder, signature, args):
            word = ir.VectorType(ir.IntType(32), like.n)
            value = builder.load(_pointer(context, builder, array, args[1], args[2], word), align=4)
            return builder.bitcast(of_pair(builder, value, word), ir.VectorType(FLOAT, like.n))

        return like(like, array, types.intp), build

    return load_half


# The numbers of a row of `store_pairs`: the first 32, or those from 32 on.
low = _half(lambda builder, value, word: builder.shl(value, ir.Constant(word, [16] * word.count)))
high = _half(lambda builder, value, word: builder.and_(value, ir.Constant(word, [0xFFFF0000] * word.count)))


@intrinsic
def lowest(typing, bits):
    """Number of the lowest bit that is set."""

    def build(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), build


@intrinsic
def prefetch(typing, array, start):
    """Ask for the cache line of a uint64 `array` at `start`, to be needed soon."""

    def build(context, builder, signature, args):
        line = _pointer(context, builder, array, args[0], args[1], ir.IntType(8))
        hints = [ir.Constant(ir.IntType(32), hint) for hint in (0, 2, 1)]  # to read, second-level cache, data
        _call(builder, "llvm.prefetch.p0", ir.VoidType(), [line, *hints])
        return context.get_dummy_value()

    return types.void(array, types.intp), build


@intrinsic
def power_of_two(typing, n):
    """2^n for an int32 `n` from -126 to 127, written into the exponent's bits."""

    def build(context, builder, signature, args):
        biased = builder.add(args[0], ir.Constant(ir.IntType(32), 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(ir.IntType(32), 23)), FLOAT)

    return types.float32(types.int32), build
