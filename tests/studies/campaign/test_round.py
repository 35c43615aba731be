"""A round tells a strategy what it may ask, and refuses what is no answer to it."""

import numpy as np
import pytest
import torch

from labelcut.problems.errors import InvalidInput
from labelcut.studies.campaign import Pool
from labelcut.studies.campaign.checking import checked_rows
from labelcut.studies.campaign.learner import Learner
from labelcut.studies.campaign.round import Round


def small_round(**fields):
    """Return a round over six rows, of which 0 and 5 are labeled and 1 waits for an audit."""
    pool = Pool(np.eye(6, dtype=np.float32), truth=[0, 1, 0, 1, 0, 1], classes=2)
    model = torch.nn.Linear(6, 2)
    learner = Learner(lambda seed: torch.nn.Linear(6, 2), lambda model, x, y, **rest: model)
    given = {"labeled": np.array([0, 5]), "labels": np.array([0, 1]), "barred": np.array([1])}
    return Round(
        pool, **{**given, **fields}, budget=2, cycle=0, seed=3, model=model, learner=learner
    )


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([2, 2], "row 2 comes twice"),
        ([0, 2], "row 0 is labeled already"),
        ([1, 2], "row 1 is kept for the audit"),
        ([2, 6], "row 6 is no row of the pool"),
        ([2, -1], "row -1 is no row of the pool"),
        ([2], "must return 2 rows; got 1"),
        ([], "must return 2 rows; got 0"),
        ([2, 3, 4], "must return 2 rows; got 3"),
        ([2.0, 3.0], "must return a Selection or row numbers; got float64"),
        (None, "must return a Selection or row numbers"),
        ([[2, 3]], "got int64 of shape"),
    ],
)
def test_wrong_rows_name_the_strategy(rows, words):
    """A strategy with a bug would win by labeling more, or label rows twice."""
    with pytest.raises(InvalidInput, match=f"strategy mine, cycle 0: .*{words}"):
        checked_rows(rows, small_round(), "mine")


def test_rows_of_a_strategy_are_taken_in_any_order():
    """A strategy that ranks its rows would be refused."""
    assert checked_rows([4, 2], small_round(), "mine").tolist() == [2, 4]


def test_a_selection_without_rows_tells_why():
    """A contradiction among a strategy's constraints would look like a bug of the loop."""
    from labelcut import BudgetedSelection, Include, Spacing, solve

    video, frame = np.zeros(6), np.arange(6)
    problem = BudgetedSelection(
        np.ones(6), 2, constraints=[Include([0, 1]), Spacing(video, frame, exclude_within=1)]
    )
    with pytest.raises(InvalidInput, match="strategy mine, cycle 0: found no rows \\(infeasible"):
        checked_rows(solve(problem), small_round(), "mine")


def test_a_round_tells_candidates_and_what_was_trained():
    """Strategies would choose among rows that are labeled."""
    round = small_round(audit=np.array([5]))
    assert round.candidates.tolist() == [2, 3, 4]
    assert round.trained.tolist() == [0]
    assert round.trained_labels.tolist() == [0]


def test_what_is_recorded_cannot_be_changed_in_place():
    """A strategy that sorts what it was given would change the record, and all runs after it."""
    round = small_round(tracked=np.zeros(6))
    for name in ("labeled", "labels", "probs", "embeddings", "dispersion"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(round, name).sort()


def test_scores_are_those_of_the_model():
    """A strategy would choose by another model's predictions."""
    round = small_round()
    inputs = torch.as_tensor(round.pool.inputs)
    with torch.inference_mode():
        expected = round.model(inputs).softmax(1).numpy()
    np.testing.assert_allclose(round.probs, expected, rtol=1e-6)
    np.testing.assert_array_equal(round.embeddings, round.pool.inputs)


def test_held_out_rows_are_predicted_by_models_that_never_saw_them():
    """The prior correction would trust probabilities of rows learned by heart."""
    pool = Pool(np.arange(12, dtype=np.float32)[:, None], truth=np.arange(12) % 2, classes=2)
    seen = []

    class Remembers(torch.nn.Module):
        """Says 1 to what it was trained on, 0 to the rest."""

        rows = ()

        def forward(self, x):
            known = torch.isin(x[:, 0], torch.tensor(self.rows))
            return torch.stack([~known, known], dim=1).float() * 50

    def train(model, inputs, labels, **rest):
        model.rows = inputs[:, 0].tolist()
        seen.append(sorted(labels.tolist()))
        return model

    learner = Learner(lambda seed: Remembers(), train, layer="")
    rows = np.arange(10)
    round = Round(pool, rows, rows % 2, 2, 0, 0, Remembers(), learner, audit=np.array([9]))
    probs, classes = round.held_out(folds=3)
    assert probs.shape == (10, 2)
    assert probs[:9].argmax(axis=1).tolist() == [0] * 9
    assert sorted(classes.tolist()) == [0] * 5 + [1] * 5
    # Nine rows in three folds: each model learns from six, of both classes.
    assert [len(labels) for labels in seen] == [6, 6, 6]
    assert all(2 <= sum(labels) <= 4 for labels in seen)
