"""One pass over the map of an image on the CPU, compiled. Imported only when it runs.

Everything of a pixel is computed in runs that the processor's cache holds, and added up by columns
of the image before columns are added up to regions: no map of the image's size is ever written.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic as numba_intrinsic

RUN = 1024  # pixels at a time: long enough to fetch ahead, short enough for the nearest cache
LANES = 4  # counts of a class side by side, as adding to the one just written would wait for it


def intrinsic(build: Callable[..., Any]) -> Any:
    """Return a function of compiled code that is written in LLVM's language."""
    return numba_intrinsic(build)


def inlined(function: Callable[..., Any]) -> Any:
    """Return a function for compiled code that becomes part of its callers."""
    return numba.njit(inline="always")(function)


def vectorized(function: Callable[..., Any]) -> Any:
    """Return a function for compiled code whose loops may fuse products and sums."""
    options: Any = {"fastmath": {"contract", "nsz"}, "error_model": "numpy", "nogil": True}
    return numba.njit(**options)(function)


def to_compile(function: Any, **options: Any) -> Any:
    """Return a function that numba compiles, kept on disk where some folder can be written."""
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:
        return numba.njit(**options)(function)


@intrinsic
def _number(_: Any, x: Any) -> Any:
    """Return a float32: of itself, of float16 as uint16, or of bfloat16 as int16."""

    def build(_: Any, builder: Any, __: Any, args: Any) -> Any:
        if x == types.uint16:
            return builder.fpext(builder.bitcast(args[0], ir.HalfType()), ir.FloatType())
        if x == types.int16:
            wide = builder.zext(args[0], ir.IntType(32))
            return builder.bitcast(builder.shl(wide, wide.type(16)), ir.FloatType())
        return args[0]

    return types.float32(x), build


def _reinterpreted(come: Any, leave: Any, kind: Any) -> Any:
    """Return a function that takes the bits of one type for a number of another."""

    @intrinsic
    def reinterpret(_: Any, __: Any) -> Any:
        def build(_: Any, builder: Any, __: Any, args: Any) -> Any:
            return builder.bitcast(args[0], kind)

        return leave(come), build

    return reinterpret


_float = _reinterpreted(types.int32, types.float32, ir.FloatType())
_bits = _reinterpreted(types.float32, types.int32, ir.IntType(32))


@intrinsic
def _fetch(_: Any, array: Any, __: Any) -> Any:
    """Bring what is at an index into the cache, without waiting for it."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        at, word = builder.gep(data, [args[1]]), ir.IntType(32)
        at = builder.bitcast(at, ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [at.type, word, word, word])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [at.type], kind)
        builder.call(fetch, [at, word(0), word(2), word(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), build


def _fitted(function: Any, degree: int, low: float, high: float, scale: float) -> tuple[Any, ...]:
    """Return float32 coefficients, ascending, of a polynomial close to a function throughout."""
    nodes = np.polynomial.Chebyshev.interpolate(function, degree, [low, high])
    coefficients: Any = nodes.convert(kind=np.polynomial.Polynomial).coef
    return tuple(np.float32(scale * c) for c in coefficients)


ONE, EXPONENT, ROOT_HALF = np.float32(1), np.int32(-(1 << 23)), np.int32(0x3F3504F3)
# Logarithms in units in which the exponent of a float32 counts as it stands in its bits.
UNIT = np.float32(np.log(2) / (1 << 23))
LOG = _fitted(lambda t: np.log1p(t) / t, 7, 0.5**0.5 - 1, 2**0.5 - 1, (1 << 23) / np.log(2))
EXP = _fitted(np.exp2, 6, -0.5, 0.5, 1)
PER_LN2, LN2, LEAST = np.float32(1 / np.log(2)), np.float32(np.log(2)), np.float32(-126)
# Adding it leaves no room for a fraction: its lowest bits are the number, rounded.
ROUNDING = np.float32(1.5 * (1 << 23))


@inlined
def _log(p: Any) -> Any:
    """Return log p / UNIT to 4e-8 and rounding, some finite number for 0.

    p = 2^k (1 + t) with 1 + t between the roots of 1/2 and 2, and a polynomial of t for log(1 + t).
    """
    bits = _bits(p)
    k = np.int32(np.int32(bits - ROOT_HALF) & EXPONENT)
    t = _float(np.int32(bits - k)) - ONE
    series = LOG[7]
    series = series * t + LOG[6]
    series = series * t + LOG[5]
    series = series * t + LOG[4]
    series = series * t + LOG[3]
    series = series * t + LOG[2]
    series = series * t + LOG[1]
    series = series * t + LOG[0]
    return t * series + np.float32(k)


@inlined
def _exp2(y: Any) -> Any:
    """Return 2^y for y from -126 to 0."""
    shifted = y + ROUNDING
    f = y - (shifted - ROUNDING)
    series = EXP[6]
    series = series * f + EXP[5]
    series = series * f + EXP[4]
    series = series * f + EXP[3]
    series = series * f + EXP[2]
    series = series * f + EXP[1]
    series = series * f + EXP[0]
    return _float(np.int32(_bits(series) + np.int32(_bits(shifted) << np.int32(23))))


@inlined
def _ahead(scores: Any, c: int, start: int, n: int) -> None:
    """Fetch the run of a class, a line of the cache at a time."""
    step = 64 // scores.itemsize
    if start + n <= scores.shape[1]:
        run = scores[c, start : start + n]
        for j in range(0, n, step):
            _fetch(run, j)


@vectorized
def _of_probs(
    scores: Any, start: int, n: int, entropies: Any, classes: Any, room: Any, tolerance: Any
) -> bool:
    """Write entropies and classes of n pixels; tell whether some are no plain distribution."""
    totals, tops = room[0], room[1].view(np.uint32)
    for j in range(n):
        entropies[j], totals[j], tops[j], classes[j] = 0, 0, 0, 0
    for c in range(scores.shape[0]):
        last = c + 1 == scores.shape[0]
        _ahead(scores, 0 if last else c + 1, start + (n if last else 0), n)
        run, name = scores[c, start : start + n], np.int32(c)
        for j in range(n):
            p = _number(run[j])
            totals[j] += p
            entropies[j] -= p * _log(p)
            # Numbers of at least 0 are ordered as their bits, and any other is above them.
            bits = np.uint32(_bits(p))
            if bits > tops[j]:
                classes[j] = name
            tops[j] = max(tops[j], bits)
    wrong = 0
    for j in range(n):
        entropies[j] = max(entropies[j] * UNIT, np.float32(0))
        fits = (abs(totals[j] - ONE) <= tolerance) and tops[j] < np.uint32(1 << 31)
        wrong |= 0 if fits else 1
    return wrong > 0


@vectorized
def _of_logits(scores: Any, start: int, n: int, entropies: Any, classes: Any, room: Any) -> bool:
    """Write entropies and classes of n pixels; tell whether some are not finite.

    With d = max x - x, Z = sum exp(-d): the entropy is log Z + sum(d exp(-d)) / Z.
    """
    totals, tops = room[0], room[1]
    for j in range(n):
        entropies[j], totals[j], tops[j], classes[j] = 0, 0, -np.inf, 0
    for c in range(scores.shape[0]):
        last = c + 1 == scores.shape[0]
        _ahead(scores, 0 if last else c + 1, start + (n if last else 0), n)
        run, name = scores[c, start : start + n], np.int32(c)
        for j in range(n):
            x = _number(run[j])
            if x > tops[j]:
                classes[j] = name
            tops[j] = max(tops[j], x)
    for c in range(scores.shape[0]):
        run = scores[c, start : start + n]
        for j in range(n):
            y = (_number(run[j]) - tops[j]) * PER_LN2
            # Of a logit of minus infinity nothing is left; NaN stays what it is.
            y = LEAST if y < LEAST else y
            e = _exp2(y)
            totals[j] += e
            entropies[j] -= e * y
    wrong = 0
    for j in range(n):
        value = _log(totals[j]) * UNIT + entropies[j] / totals[j] * LN2
        wrong |= 0 if abs(value) < np.inf else 1
        entropies[j] = max(value, np.float32(0))
    return wrong > 0


@inlined
def _to_columns(
    entropies: Any, classes: Any, counts: Any, nothing: Any, columns: Any, sums: Any, n: Any
) -> None:
    """Add pixels of one row to the columns they stand in; those that do not count have no class.

    No counts: all of them count, and columns have no number.
    """
    low, high, number = columns[0], columns[1], columns[2]
    if len(counts) == 0:
        for j in range(n):
            value = entropies[j]
            low[j], high[j] = min(low[j], value), max(high[j], value)
            sums[j] += np.float64(value)
        return
    for j in range(n):
        value, inside = entropies[j], counts[j] != 0
        low[j] = min(low[j], value if inside else np.float32(np.inf))
        high[j] = max(high[j], value if inside else np.float32(-np.inf))
        number[j] += np.float32(1) if inside else np.float32(0)
        sums[j] += np.float64(value if inside else np.float32(0))
        classes[j] = classes[j] if inside else nothing


@inlined
def _to_tiles(columns: Any, sums: Any, width: int, tiles: Any) -> None:
    """Write minimum, sum, maximum and number of tiles one beside the other, from their columns."""
    for t in range(tiles.shape[1]):
        low, total, high, number = np.inf, 0.0, -np.inf, 0.0
        for j in range(t * width, min((t + 1) * width, len(sums))):
            low, high = min(low, columns[0, j]), max(high, columns[1, j])
            number += columns[2, j]
            total += sums[j]
        tiles[0, t], tiles[1, t], tiles[2, t], tiles[3, t] = low, total, high, number


def _summarize(
    scores: Any,
    tolerance: Any,
    counts: Any,
    width: int,
    tile: Any,
    region: Any,
    first: int,
    last: int,
    tiles: Any,
    histogram: Any,
) -> bool:
    """Write what rows `first` to `last` of an image hold; tell whether some pixel is not plain."""
    nothing = np.int32(scores.shape[0])
    entropies, classes = np.empty(RUN, np.float32), np.empty(RUN, np.int32)
    room = np.empty((2, RUN), np.float32)
    columns, sums = np.empty((3, width), np.float32), np.empty(width)
    beside = histogram.shape[1]
    bins = np.zeros((beside, LANES, nothing + 1), np.uint32)
    wrong = False
    for start in range(first * width, last * width, RUN):
        n = min(RUN, last * width - start)
        # What is None is known when compiling, and the other way is left out.
        if tolerance is None:
            wrong |= _of_logits(scores, start, n, entropies, classes, room)
        else:
            wrong |= _of_probs(scores, start, n, entropies, classes, room, tolerance)
        done = 0
        while done < n:
            y, x = (start + done) // width, (start + done) % width
            m = min(width - x, n - done)
            if x == 0 and y % tile[0] == 0:
                columns[0], columns[1], sums[:] = np.inf, -np.inf, 0
                # Where all pixels count, a column has as many as its tile has rows.
                columns[2] = 0 if len(counts) else min(tile[0], last - y)
            some, at = slice(done, done + m), slice(x, x + m)
            own = classes[some]
            inside = counts[start + done : start + done + m]
            _to_columns(entropies[some], own, inside, nothing, columns[:, at], sums[at], m)
            for r in range(x // region[1], (x + m - 1) // region[1] + 1):
                mine = bins[r]
                for j in range(max(r * region[1], x), min((r + 1) * region[1], x + m)):
                    mine[j & (LANES - 1), np.uint32(own[j - x])] += np.uint32(1)
            done += m
            if x + m < width:
                continue
            if (y + 1) % tile[0] == 0 or y + 1 == last:
                _to_tiles(columns, sums, tile[1], tiles[:, y // tile[0]])
            if (y + 1) % region[0] == 0 or y + 1 == last:
                for r in range(beside):
                    for c in range(nothing):
                        histogram[y // region[0], r, c] = bins[r, :, c].sum()
                bins[:] = 0
    return wrong


summarize = to_compile(_summarize, nogil=True)
