"""UWE and BADGE against expanded vectors, autograd, and the choices made on both."""

import numpy as np
import pytest
import torch
from torch import nn

import labelcut
from labelcut.models import badge, entropy, pooled, uwe

BACKENDS = {"numpy": np.asarray, "torch": torch.from_numpy}


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Convert a NumPy array to one of the backends."""
    return BACKENDS[request.param]


def drawn(rows=60, classes=5, width=7, seed=0):
    """Draw probabilities and features."""
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(classes, 0.5), rows), rng.normal(size=(rows, width))


def expanded(probs, features):
    """Write out every gradient embedding, paper eq. 1, entry by entry."""
    vectors = np.zeros((len(probs), probs.shape[1] * features.shape[1]))
    for i, (p, f) in enumerate(zip(probs, features, strict=True)):
        best = max(range(len(p)), key=lambda c: (p[c], -c))
        vectors[i] = np.concatenate([(p[c] - (c == best)) * f for c in range(len(p))])
    return vectors


@pytest.mark.parametrize("tau", [0.0, 0.1, 1.0, 2.0])
def test_uwe_weighs_every_feature(tau, backend):
    """Rows would be weighted by another power, or by another row's uncertainty."""
    probs, features = drawn()
    u = np.asarray(entropy(probs))
    value = np.asarray(uwe(backend(features), backend(u), tau))
    for row in range(len(features)):
        np.testing.assert_allclose(value[row], [u[row] ** tau * f for f in features[row]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_uwe_keeps_the_precision_of_the_features(dtype, backend):
    """Half-precision embeddings of a large pool would double in memory."""
    features = drawn()[1].astype(dtype)
    value = uwe(backend(features), backend(np.full(len(features), 0.5)), 1.0)
    assert np.asarray(value).dtype == dtype
    np.testing.assert_array_equal(np.asarray(value), features / 2)


def test_a_certain_row_has_the_zero_vector():
    """0 to the power of τ would be 1 or NaN."""
    np.testing.assert_array_equal(uwe(np.ones((2, 3)), np.array([0.0, 1.0]), 0.1)[0], 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((2, 3)), np.ones(3)), r"must have shapes \(N, D\) and \(N,\); \(2, 3\) and"),
        ((np.ones((2, 3, 4)), np.ones(2)), r"pool maps with pooled\(\)"),
        ((np.ones((2, 3)), np.array([1.0, -0.5])), r"uncertainty: .*; row 1 holds -0.5"),
        ((np.ones((2, 3)), np.array([np.nan, 1.0])), r"uncertainty: .*; row 0 holds nan"),
        ((np.ones((2, 3)), np.ones(2), -1.0), r"tau: must be at least 0 and finite; -1.0 came"),
        ((np.ones((2, 3)), np.ones(2), np.nan), r"tau: must be at least 0"),
    ],
)
def test_what_cannot_be_weighted_is_refused(arguments, message):
    """Embeddings would be NaN, or of rows that do not belong together."""
    with pytest.raises(ValueError, match=message):
        uwe(*arguments)


def test_badge_is_the_gradient_of_the_last_layer():
    """The factors would belong to another loss than cross entropy at the predicted class."""
    torch.manual_seed(0)
    layer = nn.Linear(7, 5).double()
    features = torch.randn(6, 7, dtype=torch.float64)
    logits = layer(features)
    left, right = badge(logits.softmax(1).detach(), features)
    for i in range(6):
        loss = nn.functional.cross_entropy(logits[i], logits[i].argmax())
        (gradient,) = torch.autograd.grad(loss, layer.weight, retain_graph=True)
        torch.testing.assert_close(left[i][:, None] * right[i], gradient)


def test_badge_factors_expand_to_the_gradient_embedding(backend):
    """Inner products of the factored form would be those of other vectors."""
    probs, features = drawn()
    left, right = (np.asarray(part) for part in badge(backend(probs), backend(features)))
    vectors = expanded(probs, features)
    np.testing.assert_allclose(np.einsum("ic,id->icd", left, right).reshape(60, -1), vectors)
    np.testing.assert_allclose((left @ left.T) * (right @ right.T), vectors @ vectors.T, atol=1e-12)


@pytest.mark.parametrize("method", ["greedy", "k-means++"])
def test_choices_on_factored_badge_are_those_on_expanded(method):
    """Factoring would change what is labeled."""
    probs, features = drawn(200, 6, 9)
    labeled = np.arange(5)
    factored = labelcut.KCenter(labelcut.Factored(*badge(probs, features)), 12, labeled=labeled)
    plain = labelcut.KCenter(expanded(probs, features), 12, labeled=labeled)
    ours, theirs = (labelcut.solve(problem, method, seed=3) for problem in (factored, plain))
    np.testing.assert_array_equal(ours.order, theirs.order)
    assert ours.objective == pytest.approx(theirs.objective, rel=1e-9)


def test_badge_leaves_its_input_alone(backend):
    """The probabilities of later steps would have lost their best class."""
    probs, features = drawn()
    before = probs.copy()
    left, _ = badge(backend(probs), backend(features))
    np.testing.assert_array_equal(probs, before)
    assert np.asarray(left).dtype == np.float64


@pytest.mark.parametrize(
    ("probs", "features", "message"),
    [
        (np.eye(3), np.ones((2, 4)), r"must have shapes \(N, C\) and \(N, D\); \(3, 3\) and"),
        (np.eye(3), np.ones((3, 4, 2)), r"must have shapes"),
        (3 * np.eye(3), np.ones((3, 4)), r"probs: row 0 holds 3.*not logits"),
    ],
)
def test_badge_refuses_logits_and_other_rows(probs, features, message):
    """Gradients would be those of nothing."""
    with pytest.raises(ValueError, match=message):
        badge(probs, features)


def test_pooled_features_are_means_over_positions(backend):
    """The image's feature would be that of one pixel, or a sum that grows with its size."""
    maps = np.random.default_rng(0).normal(size=(3, 4, 5, 6))
    value = np.asarray(pooled(backend(maps)))
    for i, d in np.ndindex(3, 4):
        assert value[i, d] == pytest.approx(sum(maps[i, d].flat) / 30)
    vectors = backend(maps[:, :, 0, 0])
    assert pooled(vectors) is vectors
    assert np.asarray(pooled(backend(maps.astype(np.float16)))).dtype == np.float32
    with pytest.raises(ValueError, match=r"features: must have shape \(N, D, ...\); \(4,\) came"):
        pooled(backend(np.ones(4)))
