"""Uncertainty measures against scipy, sorting and hand-worked numbers, on NumPy and torch."""

import math
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from labelcut import models
from labelcut.models import (
    entropy,
    least_confidence,
    margin,
    second_best_ratio,
    uncertainty,
)

MEASURES = [entropy, margin, least_confidence, second_best_ratio]
BACKENDS = {"numpy": np.asarray, "torch": torch.from_numpy}
LAWS = settings(deadline=None, derandomize=True, max_examples=60)


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Convert a NumPy array to one of the backends."""
    return BACKENDS[request.param]


def random_probs(rows=200, classes=7, seed=0):
    """Draw rows that range from nearly certain to nearly uniform."""
    return np.random.default_rng(seed).dirichlet(np.full(classes, 0.3), rows)


def half_numpy(probs):
    """Convert a tensor to a NumPy float16 array."""
    return probs.numpy().astype(np.float16)


def distributions():
    """Draw small arrays of distributions, exact zeros and ones among them."""
    raw = arrays(float, st.tuples(st.integers(1, 6), st.integers(1, 8)), elements=st.floats(0, 1))
    return raw.filter(lambda p: (p.sum(axis=1) > 1e-3).all()).map(
        lambda p: p / p.sum(axis=1, keepdims=True)
    )


def test_entropy_is_that_of_scipy(backend):
    """The utility of the class-balanced problem would not be thesis eq. 4.6 in nats."""
    probs = random_probs()
    np.testing.assert_allclose(
        np.asarray(entropy(backend(probs))), scipy.stats.entropy(probs, axis=1), atol=1e-12
    )


def test_margin_is_one_minus_the_lead_in_the_sorted_row(backend):
    """Margin sampling would rank rows by something else than the two best classes."""
    probs = random_probs()
    ranked = np.sort(probs, axis=1)
    expected = 1 - (ranked[:, -1] - ranked[:, -2])
    np.testing.assert_allclose(np.asarray(margin(backend(probs))), expected, atol=1e-12)


def test_least_confidence_is_what_the_best_class_lacks(backend):
    """Least confidence would look at another class than the predicted one."""
    probs = random_probs()
    expected = 1 - np.sort(probs, axis=1)[:, -1]
    np.testing.assert_allclose(np.asarray(least_confidence(backend(probs))), expected, atol=1e-12)


def test_the_ratio_is_that_of_the_two_best_in_the_sorted_row(backend):
    """Best versus second best would compare other classes, or be upside down."""
    probs = random_probs()
    ranked = np.sort(probs, axis=1)
    expected = ranked[:, -2] / ranked[:, -1]
    np.testing.assert_allclose(np.asarray(second_best_ratio(backend(probs))), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("measure", "row", "expected"),
    [
        (entropy, [0.25, 0.25, 0.5], 1.5 * math.log(2)),
        (entropy, [0.5, 0.5, 0.0], math.log(2)),
        (margin, [0.125, 0.625, 0.25], 0.625),
        (margin, [0.5, 0.5, 0.0], 1.0),
        (least_confidence, [0.125, 0.625, 0.25], 0.375),
        (second_best_ratio, [0.125, 0.625, 0.25], 0.4),
        (second_best_ratio, [0.5, 0.5, 0.0], 1.0),
    ],
)
def test_hand_worked_values(measure, row, expected, backend):
    """Formula, logarithm or direction would be wrong."""
    assert float(measure(backend(np.array(row)))) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.uint8, bool])
def test_a_certain_row_is_exactly_positive_zero(measure, dtype, backend):
    """Exact zeros and ones would give NaN, a warning, or a negative zero that sorts oddly."""
    value = np.asarray(measure(backend(np.eye(4, dtype=dtype))))
    np.testing.assert_array_equal(value, 0)
    assert not np.signbit(value).any()


@pytest.mark.parametrize("measure", MEASURES)
def test_a_row_that_overshoots_one_by_rounding_is_not_negative(measure):
    """Float32 softmax rows that sum to 1 + 1e-7 would get a negative uncertainty."""
    value = measure(np.array([[1.0 + 1e-6, 0.0]]))
    assert value == 0
    assert not np.signbit(value)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_torch_and_numpy_agree_in_the_same_precision(measure, dtype):
    """The two backends would rank the same pool differently, or change its precision."""
    probs = random_probs().astype(dtype)
    ours, theirs = measure(probs), measure(torch.from_numpy(probs))
    assert isinstance(ours, np.ndarray)
    assert isinstance(theirs, torch.Tensor)
    assert ours.dtype == theirs.numpy().dtype == dtype
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("convert", [lambda p: p.bfloat16(), lambda p: p.half(), half_numpy])
def test_half_precision_is_computed_in_float32(convert):
    """Summing p·log p in half precision would lose what tells uncertain rows apart."""
    probs = convert(torch.from_numpy(random_probs(classes=50)))
    exact = np.asarray(probs.double() if isinstance(probs, torch.Tensor) else probs, dtype=float)
    ranked = np.sort(exact, axis=1)
    expected = {
        entropy: -(exact * np.log(exact + (exact == 0))).sum(axis=1),
        margin: 1 - ranked[:, -1] + ranked[:, -2],
        least_confidence: 1 - ranked[:, -1],
        second_best_ratio: ranked[:, -2] / ranked[:, -1],
    }
    for measure in MEASURES:
        value = measure(probs)
        assert np.asarray(value).dtype == np.float32
        np.testing.assert_allclose(value, expected[measure], rtol=0, atol=2e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("measure", MEASURES)
def test_a_cuda_tensor_stays_on_its_device(measure):
    """Scores of a GPU pool would be copied to the host behind the user's back."""
    probs = torch.from_numpy(random_probs())
    value = measure(probs.cuda())
    assert value.is_cuda
    torch.testing.assert_close(value.cpu(), measure(probs))


@pytest.mark.parametrize("measure", MEASURES)
def test_the_last_axis_holds_the_classes(measure, backend):
    """Pixel-wise probabilities would be reduced over an image axis."""
    probs = random_probs(24).reshape(2, 3, 4, 7)
    value = np.asarray(measure(backend(probs)))
    assert value.shape == (2, 3, 4)
    for index in np.ndindex(2, 3, 4):
        assert value[index] == pytest.approx(measure(probs[index]), abs=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("axis", [0, 1, 2, -2, -4])
def test_the_classes_may_lie_on_any_axis(measure, axis, backend, monkeypatch):
    """Maps (N, C, H, W) would have to be copied into another order first."""
    last = random_probs(24).reshape(2, 3, 4, 7)
    expected = measure(last)
    monkeypatch.setattr(uncertainty, "_CHUNK", 20)
    moved = backend(np.ascontiguousarray(np.moveaxis(last, -1, axis)))
    np.testing.assert_allclose(np.asarray(measure(moved, axis)), expected, atol=1e-15)


def test_a_class_axis_in_the_wrong_place_is_said(backend):
    """The user of a segmentation network would not see why its softmax does not sum to 1."""
    maps = np.moveaxis(random_probs(60).reshape(3, 4, 5, 7), -1, 1)
    with pytest.raises(ValueError, match=r"sums to .*; the classes seem to lie on axis 1: pass"):
        entropy(backend(maps))
    with pytest.raises(ValueError, match=r"pass softmax outputs, not logits$"):
        entropy(backend(maps / 2))
    with pytest.raises(ValueError, match=r"axis 4 must hold at least one class; shape \(3, 7, 4"):
        entropy(backend(maps), 4)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("chunk", [1, 5, 64])
def test_chunks_do_not_show(measure, chunk, backend, monkeypatch):
    """Rows at the seams of chunks would be skipped, repeated or misplaced."""
    flat, deep = random_probs(23), random_probs(24).reshape(4, 3, 2, 7)
    whole = [np.asarray(measure(p)) for p in (flat, deep)]
    monkeypatch.setattr(uncertainty, "_CHUNK", chunk)
    for probs, expected in zip((flat, deep), whole, strict=True):
        np.testing.assert_allclose(np.asarray(measure(backend(probs))), expected, atol=1e-15)


@pytest.mark.parametrize("measure", MEASURES)
def test_memory_mapped_pools_are_never_copied_whole(measure, tmp_path):
    """A pool larger than memory could not be scored."""
    rows, classes = 400_000, 50
    file = tmp_path / "probs.npy"
    pool = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=(rows, classes))
    pool[:] = 1 / classes
    pool[-1] = np.eye(classes)[0]
    pool.flush()
    pool = np.load(file, mmap_mode="r")
    measure(pool[:10])
    tracemalloc.start()
    value = measure(pool)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < pool.nbytes / 2
    assert value[-1] == 0
    assert (value[:-1] == value[0]).all()
    assert value[0] > 0.9


@pytest.mark.parametrize("measure", MEASURES)
def test_one_class_leaves_no_doubt(measure, backend):
    """A problem with a single class would fail or report uncertainty."""
    np.testing.assert_array_equal(np.asarray(measure(backend(np.ones((3, 1))))), np.zeros(3))


@pytest.mark.parametrize("measure", MEASURES)
def test_no_rows_give_no_values(measure, backend):
    """An empty shard of a pool would be an error."""
    assert np.asarray(measure(backend(np.zeros((0, 3))))).shape == (0,)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    ("probs", "message"),
    [
        (
            [[0.5, 0.5], [1.25, -0.25]],
            r"probs: row 1 holds 1.25, probabilities lie between 0 and 1",
        ),
        ([[0.5, 0.5], [-0.25, 0.75]], r"probs: row 1 holds -0.25, .*pass softmax outputs"),
        ([[0.5, 0.5], [math.nan, 1.0]], r"probs: row 1 holds nan"),
        ([[math.inf, -math.inf], [0.5, 0.5]], r"probs: row 0 holds inf"),
        ([[0.5, 0.5], [0.2, 0.22]], r"probs: row 1 sums to 0.42, rows must sum to 1 \(±0.001\)"),
        ([[[1.0, 0.0]], [[0.25, 0.25]]], r"probs: row \(1, 0\) sums to 0.5"),
        (1.0, r"probs: the last axis must hold at least one class; shape \(\) came"),
        (np.zeros((3, 0)), r"probs: the last axis must .* shape \(3, 0\) came"),
    ],
)
def test_what_is_no_distribution_is_refused(measure, probs, message, backend):
    """Logits or broken rows would quietly become utilities."""
    with pytest.raises(ValueError, match=message):
        measure(backend(np.array(probs)))


@pytest.mark.parametrize("chunk", [4, 1000])
def test_the_error_names_the_row_of_the_whole_array(chunk, monkeypatch):
    """The message would count rows from the start of a chunk."""
    monkeypatch.setattr(uncertainty, "_CHUNK", chunk)
    probs = random_probs(23)
    probs[[17, 20], 2] = math.nan
    with pytest.raises(ValueError, match=r"row 17 holds nan"):
        entropy(probs)


@pytest.mark.parametrize("probs", [np.array([["a", "b"]]), np.array([[0.5, 0.5j]])])
def test_other_than_real_numbers_are_refused(probs):
    """Text or complex columns would end in an error deep inside, or in a nonsense value."""
    with pytest.raises(TypeError, match="probs: entries must be real numbers; dtype"):
        entropy(probs)


@LAWS
@given(distributions(), st.randoms(use_true_random=False))
def test_class_order_does_not_matter(probs, random):
    """Renaming classes would change which rows are labeled."""
    order = list(range(probs.shape[1]))
    random.shuffle(order)
    for measure in MEASURES:
        np.testing.assert_allclose(measure(probs[:, order]), measure(probs), atol=1e-12)


@LAWS
@given(distributions())
def test_values_lie_between_certainty_and_uniform(probs):
    """A row could be called more uncertain than one where all classes are equally likely."""
    classes = probs.shape[1]
    for measure in MEASURES:
        value = measure(probs)
        assert (value >= 0).all()
        assert (value <= measure(np.full((1, classes), 1 / classes)) + 1e-12).all()


@LAWS
@given(distributions(), st.floats(0, 1))
def test_mixing_with_uniform_never_lowers_uncertainty(probs, weight):
    """Higher would not mean more uncertain."""
    mixed = (1 - weight) * probs + weight / probs.shape[1]
    for measure in MEASURES:
        assert (measure(mixed) >= measure(probs) - 1e-12).all()


def test_uncertainty_does_not_import_torch():
    """Every NumPy user would wait seconds for torch."""
    code = (
        "import sys, labelcut.models as m, numpy; m.entropy(numpy.eye(2)); "
        "assert 'score' in dir(m); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_name_is_an_attribute_error():
    """A misspelt name would be reported as something stranger."""
    with pytest.raises(AttributeError, match="has no attribute 'entrpy'"):
        models.entrpy
