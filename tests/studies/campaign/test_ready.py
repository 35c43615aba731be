"""The ready learner learns, the same way each time, from any numbers."""

import numpy as np
import pytest
import torch

from labelcut.problems.errors import InvalidInput
from labelcut.studies.campaign import Pool
from labelcut.studies.campaign.ready import Training, ready_learner

RNG = np.random.default_rng(0)
CLASSES = np.arange(90) % 3
VECTORS = RNG.normal(size=(90, 5)) + 3 * np.eye(3, 5)[CLASSES]
STRIPES = np.zeros((90, 2, 6, 6))
STRIPES[CLASSES == 0, :, ::2] = 1
STRIPES[CLASSES == 1, :, :, ::2] = 1
IMAGES = STRIPES + 0.2 * RNG.normal(size=STRIPES.shape)
QUICK = Training(epochs=10, batch=16, learning_rate=1e-2, hidden=16)


def trained(inputs, **rest):
    """Train on the first 60 rows; return the model and its accuracy on the others."""
    learner = ready_learner(Pool(inputs, classes=3), QUICK)
    model = learner.train(learner.make_model(3), inputs[:60], CLASSES[:60], seed=4, **rest)
    probs, embeddings = learner.predict(model, inputs[60:])
    assert embeddings.shape == (30, 16)
    return model, (probs.argmax(axis=1) == CLASSES[60:]).mean()


@pytest.mark.parametrize(
    "inputs",
    [
        VECTORS,
        VECTORS * 1e4 + 1e6,
        torch.as_tensor(VECTORS),
        IMAGES,
        (IMAGES * 40 + 100).astype(np.uint8),
    ],
    ids=["vectors", "large numbers", "tensor", "images", "bytes"],
)
def test_it_learns_what_is_easy(inputs):
    """A file of arrays alone would compare strategies on a model that knows nothing."""
    assert trained(inputs)[1] > 0.9


def test_the_same_seed_gives_the_same_weights():
    """Campaigns could not be repeated."""
    one = trained(IMAGES)[0].state_dict()
    torch.rand(3)  # whatever else draws from torch's numbers
    other = trained(IMAGES)[0].state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_weights_of_zero_take_rows_out():
    """Pseudo-labels would count as much as labels."""
    wrong = CLASSES[:60].copy()
    wrong[30:] = (wrong[30:] + 1) % 3
    learner = ready_learner(Pool(VECTORS, classes=3), QUICK)
    model = learner.train(
        learner.make_model(3), VECTORS[:60], wrong, seed=4, weights=np.repeat([1.0, 0.0], 30)
    )
    probs, _ = learner.predict(model, VECTORS[60:])
    assert (probs.argmax(axis=1) == CLASSES[60:]).mean() > 0.9


def test_progress_is_called_once_an_epoch():
    """Label dispersion would count too few predictions."""
    calls = []
    trained(VECTORS, progress=calls.append)
    assert len(calls) == 10


def test_other_shapes_are_refused():
    """Text or videos would fail inside of a convolution."""
    with pytest.raises(InvalidInput, match=r"takes vectors \(N, d\) and images"):
        ready_learner(Pool(np.zeros((4, 3, 3)), classes=2), QUICK)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"truth": [0, 1]}, "one class for each of 4 rows"),
        ({"truth": [0, 1, 2, 0]}, "row 2 holds 2"),
        ({"truth": [0, 1, -2, 0]}, "row 2 holds -2"),
        ({"classes": 1}, "at least 2"),
        ({"test_truth": [0]}, "has no test_inputs"),
        ({"test_inputs": np.zeros((2, 3)), "test_truth": [0]}, "each of 2 rows"),
        ({"ids": ["a", "b", "a", "c"]}, "must be distinct"),
        ({"table": {"video": [1, 2]}}, "one value for each of 4 rows"),
    ],
)
def test_pools_that_cannot_be(arguments, words):
    """Labels would belong to other rows than the inputs."""
    with pytest.raises(InvalidInput, match=words):
        Pool(np.zeros((4, 3)), **{"classes": 2, **arguments})


def test_a_pool_is_known_by_its_values():
    """Changed data would go unnoticed in mid-campaign, or a copy count as changed."""
    x = RNG.normal(size=(4, 3)).astype(np.float32)
    made = Pool(x, truth=[0, 1, 1, 0]).fingerprint()
    assert Pool(torch.as_tensor(x), truth=np.array([0, 1, 1, 0])).fingerprint() == made
    other = x.copy()
    other[3, 2] += 1e-6
    assert Pool(other, truth=[0, 1, 1, 0]).fingerprint() != made
    assert Pool(x, truth=[0, 1, 1, 1]).fingerprint() != made
    assert Pool(x, truth=[0, 1, 1, 0], table={"video": [1, 1, 2, 2]}).fingerprint() != made
