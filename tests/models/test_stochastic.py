"""BALD, EqualAL and the dropout switch against slow double-precision formulas."""

import math

import numpy as np
import pytest
import scipy.spatial
import scipy.stats
import torch
from torch import nn

from labelcut.models import bald, entropy, flip_disagreement, mc_dropout

BACKENDS = {"numpy": np.asarray, "torch": torch.from_numpy}


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Convert a NumPy array to one of the backends."""
    return BACKENDS[request.param]


def passes(count=7, shape=(5, 4), classes=6, seed=0):
    """Draw predictions of the same inputs, classes last."""
    return np.random.default_rng(seed).dirichlet(np.full(classes, 0.4), (count, *shape))


def slow_bald(stack):
    """Compute paper eq. 4 term by term, classes last."""
    value = np.empty(stack.shape[1:-1])
    for index in np.ndindex(value.shape):
        some = stack[(slice(None), *index)]
        value[index] = scipy.stats.entropy(some.mean(axis=0)) - np.mean(
            [scipy.stats.entropy(p) for p in some]
        )
    return value


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_bald_is_the_mutual_information(axis, backend):
    """BALD would be another measure, or reduce another axis than that of the classes."""
    stack = passes()
    given = [backend(np.ascontiguousarray(np.moveaxis(p, -1, axis))) for p in stack]
    np.testing.assert_allclose(np.asarray(bald(given, axis)), slow_bald(stack), atol=1e-12)


def test_bald_of_passes_that_agree_is_exactly_zero(backend):
    """Rounding would make certain rows look informative."""
    p = passes(1)[0].astype(np.float32)
    np.testing.assert_array_equal(np.asarray(bald([backend(p)] * 9)), 0)


def test_bald_of_opposed_certainties_is_log_two(backend):
    """The scale would not be nats."""
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    value = np.asarray(bald([backend(sure), backend(sure[::-1].copy())] * 3))
    np.testing.assert_allclose(value, math.log(2), atol=1e-15)


def test_bald_keeps_one_pass_at_a_time():
    """T passes of a pool of maps would not fit into memory."""
    alive, seen = [], []

    class Pass(np.ndarray):
        def __del__(self):
            alive.remove(id(self))

    def one_by_one():
        for p in passes(12):
            tracked = p.view(Pass)
            alive.append(id(tracked))
            seen.append(len(alive))
            yield tracked
            del tracked

    bald(one_by_one())
    assert len(seen) == 12
    assert max(seen) <= 2


def test_bald_of_passes_in_one_buffer():
    """A model that reuses its output would overwrite the mean."""
    stack = passes()
    buffer = np.empty_like(stack[0])

    def reused():
        for p in stack:
            buffer[:] = p
            yield buffer

    np.testing.assert_allclose(bald(reused()), slow_bald(stack), atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_bald_of_lower_precision_is_accumulated_in_float32(dtype):
    """Means of twenty half-precision passes would lose what BALD measures."""
    stack = [torch.from_numpy(p).to(dtype) for p in passes(20)]
    value = bald(stack)
    exact = np.stack([p.double().numpy() for p in stack])
    assert value.dtype == torch.float32
    normal = exact / exact.sum(-1, keepdims=True)
    atol = 1e-6 if dtype == torch.float32 else 5e-3
    np.testing.assert_allclose(value.numpy(), slow_bald(normal), atol=atol)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], r"passes: BALD needs at least two; 0 came"),
        ([np.eye(2)], r"passes: BALD needs at least two; 1 came"),
        ([np.eye(2), np.eye(3)], r"passes: must have one shape; \(2, 2\) came first, \(3, 3\) in"),
        ([np.eye(2), 2 * np.eye(2)], r"probs: row 0 holds 2"),
    ],
)
def test_passes_that_do_not_fit_are_refused(given, message):
    """BALD of a single pass would be 0 everywhere, and the user would not know why."""
    with pytest.raises(ValueError, match=message):
        bald(given)


def test_flip_disagreement_is_the_jensen_shannon_divergence(backend):
    """EqualAL would weigh one of the two predictions more, or be no divergence."""
    p, q = passes(2, (9,))
    expected = scipy.spatial.distance.jensenshannon(p, q, axis=1) ** 2
    value = np.asarray(flip_disagreement(backend(p), backend(q)))
    np.testing.assert_allclose(value, expected, atol=1e-12)


def test_maps_are_flipped_back(backend):
    """Pixels would be compared with their mirror images, and every image look uncertain."""
    maps = np.moveaxis(passes(3, (4, 5)), -1, 1)
    mirrored = np.ascontiguousarray(maps[..., ::-1])
    value = np.asarray(flip_disagreement(backend(maps), backend(mirrored), 1, width_axis=-1))
    np.testing.assert_allclose(value, np.zeros((3, 4, 5)), atol=1e-15)
    unflipped = np.asarray(flip_disagreement(backend(maps), backend(mirrored), 1))
    assert unflipped.max() > 0.1
    with pytest.raises(ValueError, match=r"width_axis: must be another axis .*; 1 came"):
        flip_disagreement(backend(maps), backend(mirrored), 1, width_axis=1)


def mixed_model():
    """Build a model with dropout and batch norm whose modules are in different modes."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 4), nn.Dropout1d(0.0)
    )
    model.train()
    model[3].eval()
    return model


def test_only_dropout_is_turned_on():
    """Batch norm would learn from the pool, or dropout stay off and BALD be 0."""
    model = mixed_model()
    before = [module.training for module in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))
    with mc_dropout(model) as same, torch.inference_mode():
        assert same is model
        assert [m.training for m in model] == [False, False, True, False, False]
        value = bald(model(x).softmax(1) for _ in range(10))
    assert (value > 1e-3).all()
    assert [module.training for module in model.modules()] == before
    torch.testing.assert_close(dict(model.state_dict()), state)


def test_modes_come_back_after_an_exception():
    """A failing pass would leave dropout on for good."""
    model = mixed_model()
    before = [module.training for module in model.modules()]

    def fail():
        with mc_dropout(model):
            raise OSError("unreadable")

    with pytest.raises(OSError, match="unreadable"):
        fail()
    assert [module.training for module in model.modules()] == before


@pytest.mark.parametrize("model", [nn.Linear(2, 2), nn.Sequential(nn.Dropout(0.0))])
def test_a_model_without_dropout_is_refused(model):
    """BALD would silently be 0 everywhere."""
    with pytest.raises(ValueError, match=r"model: must have a dropout layer of a rate above 0"):
        mc_dropout(model).__enter__()


def test_uniform_predictions_have_entropy_log_c_and_no_bald(backend):
    """Uncertainty that more labels cannot remove would be called informative."""
    uniform = backend(np.full((3, 8), 1 / 8))
    np.testing.assert_allclose(np.asarray(entropy(uniform)), math.log(8), atol=1e-15)
    np.testing.assert_array_equal(np.asarray(bald([uniform, uniform])), 0)
