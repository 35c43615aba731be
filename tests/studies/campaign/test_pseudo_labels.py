"""Two models that learn from each other's labels (thesis 3.5), and CEAL."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from labelcut.studies.campaign import Learner, Pool, Round
from labelcut.studies.campaign.strategies import STRATEGIES

CLASSES = 3


class Recorder:
    """A learner of points in a plane that remembers what it was taught."""

    def __init__(self):
        self.lessons = []

    def make_model(self, seed):
        """Return a linear classifier with known weights."""
        torch.manual_seed(seed)
        return nn.Sequential(nn.Identity(), nn.Linear(2, CLASSES))

    def train(self, model, inputs, labels, *, seed, weights=None, progress=None):
        """Remember the lesson, and learn a little."""
        before = model[1].weight.detach().clone()
        self.lessons.append((np.asarray(inputs).copy(), np.asarray(labels).copy(), before))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        for _ in range(30):
            optimizer.zero_grad()
            nn.functional.cross_entropy(
                model(torch.tensor(inputs)), torch.tensor(labels)
            ).backward()
            optimizer.step()
        return model.eval()


@pytest.fixture
def world():
    """Return a pool of three clusters, a learner, and a model trained on 9 rows."""
    rng = np.random.default_rng(0)
    truth = np.arange(150) % CLASSES
    middles = np.array([[0, 0], [4, 0], [0, 4]])
    points = (middles[truth] + rng.normal(0, 1.0, (150, 2))).astype(np.float32)
    pool = Pool(points[:120], truth[:120], points[120:], truth[120:], classes=CLASSES)
    recorder = Recorder()
    model = recorder.train(recorder.make_model(0), points[:9], truth[:9].copy(), seed=0)
    recorder.lessons.clear()
    return pool, recorder, model


def make_round(world, **changes):
    """Return a round of that world with nine rows labeled."""
    pool, recorder, model = world
    stated = {
        "pool": pool,
        "labeled": np.arange(9),
        "labels": pool.truth[:9],
        "budget": 10,
        "cycle": 0,
        "seed": 5,
        "model": model,
        "learner": Learner(recorder.make_model, recorder.train),
    }
    return Round(**{**stated, **changes})


def run(name, round):
    """Return what a strategy chooses after its preparation."""
    strategy = STRATEGIES[name]
    strategy.prepare(round)
    return strategy.choose(round).indices


def entropies(probs):
    """Return the entropy of each row."""
    p = np.maximum(probs.astype(np.float64), 1e-300)
    return -(p * np.log(p)).sum(axis=1)


def test_model_b_learns_from_the_rows_that_a_is_surest_of(world):
    """Pseudo-labels would come from other rows, or be another model's."""
    round = make_round(world, options={"share": 0.2})
    rows = run("two-models", round)
    pseudo = np.array(round.memory["pseudo"])
    assert len(pseudo) == 24
    doubt = entropies(round.probs)
    np.testing.assert_allclose(
        np.sort(doubt[pseudo]), np.sort(doubt[round.candidates])[:24], rtol=1e-5
    )
    ((inputs, labels, _),) = world[1].lessons
    np.testing.assert_array_equal(inputs, round.pool.inputs[np.r_[:9, pseudo]])
    np.testing.assert_array_equal(labels[:9], round.labels)
    np.testing.assert_array_equal(labels[9:], round.probs[pseudo].argmax(axis=1))
    assert not np.isin(rows, pseudo).any()
    told = round.probs[pseudo].argmax(axis=1) == round.pool.truth[pseudo]
    assert round.metrics["pseudo_accuracy"] == told.mean()


def test_model_b_chooses_by_its_own_entropy(world):
    """The oracle would be asked by the teacher, which the auxiliary model is there to replace."""
    round = make_round(world)
    rows = run("two-models", round)
    doubt = entropies(round.predict(round.models["b"])[0])
    rest = np.setdiff1d(round.candidates, round.memory["pseudo"])
    np.testing.assert_allclose(np.sort(doubt[rows]), np.sort(doubt[rest])[-10:], rtol=1e-5)


def test_the_surest_by_dispersion_are_those_that_changed_least(world):
    """CIFAR-10's best recipe would be the other one."""
    tracked = np.random.default_rng(1).integers(0, 9, 120) / 10
    round = make_round(world, tracked=tracked, options={"share": 0.25})
    run("two-models-dispersion", round)
    kept = np.sort(tracked[round.memory["pseudo"]])
    np.testing.assert_array_equal(kept, np.sort(tracked[9:])[:30])


def test_b_begins_as_a_and_goes_on_as_itself(world):
    """Both models continue from their last weights."""
    first = make_round(world)
    start = first.model[1].weight.detach().clone()
    run("two-models", first)
    assert torch.equal(world[1].lessons[0][2], start)
    assert torch.equal(first.model[1].weight, start)
    own = first.models["b"][1].weight.detach().clone()
    second = make_round(world, cycle=1, models=first.models, memory=first.memory)
    run("two-models", second)
    assert torch.equal(world[1].lessons[1][2], own)


def test_pseudo_labeled_rows_return(world):
    """Rows that a model once labeled could never be asked about again."""
    first = make_round(world, options={"share": 0.9}, budget=5)
    run("two-models", first)
    then = set(first.memory["pseudo"])
    second = make_round(
        world, cycle=1, models=first.models, memory=first.memory, options={"share": 0.0}
    )
    rows = run("two-models", second)
    assert second.memory["pseudo"] == []
    assert then & set(rows.tolist())


def test_both_models_are_reported(world):
    """The paper's figures show both models; one would be missing."""
    round = make_round(world)
    run("two-models", round)
    probs = round.predict(round.models["b"], round.pool.test_inputs)[0]
    right = probs.argmax(axis=1) == round.pool.test_truth
    assert round.metrics["accuracy_b"] == pytest.approx(right.mean())
    assert "mean_class_accuracy_b" in round.metrics


def test_ceal_asks_before_it_believes_itself(world):
    """Its first batch would be chosen by a model that its own guesses have taught already."""
    round = make_round(world, options={"threshold": 9.0})
    rows = run("ceal", round)
    assert (round.memory["pseudo"], world[1].lessons) == ([], [])
    doubt = entropies(round.probs)
    np.testing.assert_allclose(
        np.sort(doubt[rows]), np.sort(doubt[round.candidates])[-10:], rtol=1e-5
    )
    probs = round.predict(round.model, round.pool.test_inputs)[0]
    right = probs.argmax(axis=1) == round.pool.test_truth
    assert round.metrics["accuracy_ceal"] == pytest.approx(right.mean())


def test_ceal_believes_itself_below_its_threshold_which_falls(world):
    """The baseline would take a share, or a threshold that stays."""
    for cycle, limit in ((1, 0.3), (3, 0.1)):
        round = make_round(world, cycle=cycle, options={"threshold": 0.3, "decay": 0.1})
        round.models["ceal"] = deepcopy(round.model)
        rows = run("ceal", round)
        sure = entropies(round.probs)[round.candidates] < limit
        np.testing.assert_array_equal(round.memory["pseudo"], round.candidates[sure])
        assert not np.isin(rows, round.memory["pseudo"]).any()
    assert "accuracy_ceal" in round.metrics


def test_a_sure_ceal_leaves_enough_to_ask(world):
    """A model that is sure of everything would leave the batch short."""
    round = make_round(world, cycle=1, options={"threshold": 9.0})
    round.models["ceal"] = deepcopy(round.model)
    assert len(run("ceal", round)) == 10


@pytest.mark.parametrize("name", ["two-models", "two-models-dispersion", "ceal"])
def test_models_of_a_strategy_survive_a_stop(name, blobs, finish):
    """A resumed campaign would begin its second model anew."""
    from labelcut.studies.campaign.files import read_campaign

    told = []
    for folder, stops in (("whole", []), ("broken", [1, 1])):
        lines = f'init = "previous"\nfolder = "{folder}"'
        path = blobs(campaign=lines, strategy=f'[[strategy]]\nname = "{name}"')
        for cycles in stops:
            finish(read_campaign(path), name, cycles=cycles)
        records = finish(read_campaign(path), name)
        assert [record.cycle for record in records] == [0, 1, 2]
        told.append(
            [
                (
                    record.chosen.tolist(),
                    {k: v for k, v in record.metrics.items() if "sec" not in k},
                )
                for record in records
            ]
        )
        other = "ceal" if name == "ceal" else "b"
        assert all(f"accuracy_{other}" in metrics for _, metrics in told[-1])
    assert told[0] == told[1]


@pytest.mark.parametrize("name", ["two-models", "ceal"])
def test_rows_that_a_model_labeled_are_not_asked_for(name, world):
    """A person would label what was believed in this very cycle."""
    round = make_round(world)
    strategy = STRATEGIES[name]
    strategy.prepare(round)
    round.memory["pseudo"] = []
    asked = strategy.choose(round).indices
    # Those that would be asked for first, were they not labeled by a model.
    round.memory["pseudo"] = asked[::2].tolist()
    rest = strategy.choose(round).indices
    assert set(asked[1::2]) <= set(rest)
    assert not set(asked[::2]) & set(rest)
