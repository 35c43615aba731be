"""The strategies that come with labelcut: what each one chooses, by a definition of its own."""

from functools import cache

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from labelcut.problems import InvalidInput
from labelcut.studies.campaign import Learner, Pool, Round
from labelcut.studies.campaign.strategies import STRATEGIES

BUDGET = 40
PLAIN = sorted(name for name, strategy in STRATEGIES.items() if not strategy.functions)


def make_model(seed):
    """Return a small network with dropout, for digits as images."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 10)
    )


def train(model, inputs, labels, *, seed, weights=None, progress=None):
    """Train for a few epochs, all rows in every step."""
    torch.manual_seed(seed)
    x, y = torch.tensor(inputs), torch.tensor(labels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    model.train()
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        if progress is not None:
            progress(model)
    return model.eval()


@cache
def digits():
    """Return a long video of 600 digits, ten a video, as a pool with a test set."""
    images, truth = load_digits(return_X_y=True)
    images = (images / 16).reshape(-1, 1, 8, 8).astype(np.float32)
    return Pool(
        images[:600],
        truth[:600],
        images[600:800],
        truth[600:800],
        classes=10,
        table={"video": np.repeat(np.arange(60), 10), "frame": np.tile(np.arange(10), 60)},
    )


@cache
def trained():
    """Return the first cycle's model and the dispersion of its training."""
    pool, changes = digits(), []
    model = train(
        make_model(0),
        pool.inputs[:60],
        pool.truth[:60],
        seed=0,
        progress=lambda now: changes.append(now(torch.as_tensor(pool.inputs)).argmax(1).numpy()),
    )
    votes = np.stack([(np.stack(changes) == label).sum(axis=0) for label in range(10)])
    return model, 1 - votes.max(axis=0) / len(changes)


@pytest.fixture
def make_round():
    """Return a function that makes a round of the digits, 60 of them labeled."""

    def make(options=None, seed=1, **changes):
        pool = changes.pop("pool", digits())
        model, dispersion = trained()
        stated = {
            "pool": pool,
            "labeled": np.arange(60),
            "labels": pool.truth[:60],
            "budget": BUDGET,
            "cycle": 0,
            "seed": seed,
            "model": model,
            "learner": Learner(make_model, train),
            "options": options or {},
            "barred": np.arange(590, 600),
            "tracked": dispersion,
        }
        return Round(**{**stated, **changes})

    return make


def chosen(name, round):
    """Return the rows a strategy chooses, after what it prepares."""
    strategy = STRATEGIES[name]
    if strategy.prepare is not None:
        strategy.prepare(round)
    return strategy.choose(round).indices


@pytest.mark.parametrize("name", PLAIN)
def test_every_strategy_chooses_what_a_round_asks_for(name, make_round):
    """A campaign would stop, label a row twice, or take rows that audits need.

    A run that was killed would go on with other rows than an unbroken one.
    """
    limited = name == "k-center-exact"
    options = {"time_limit": 0.5} if limited else {}
    rows = chosen(name, make_round(options))
    assert len(np.unique(rows)) == len(rows) == BUDGET
    assert not np.isin(rows, np.r_[:60, 590:600]).any()
    if not limited:
        np.testing.assert_array_equal(rows, chosen(name, make_round(options)))


def test_uncertainties_choose_the_rows_of_their_formulas(make_round):
    """A strategy would be another one than its name says."""
    round = make_round()
    p = np.sort(round.probs.astype(np.float64), axis=1)
    flipped = round.flip.astype(np.float64)
    mean = (round.probs + flipped) / 2
    formulas = {
        "entropy": entropies(p),
        "margin": -(p[:, -1] - p[:, -2]),
        "least-confidence": -p[:, -1],
        "equal-al": entropies(mean) - (entropies(round.probs) + entropies(flipped)) / 2,
        "dispersion": round.dispersion,
    }
    for name, values in formulas.items():
        rows, free = chosen(name, round), round.candidates
        best = np.sort(values[free])[-BUDGET:]
        np.testing.assert_allclose(np.sort(values[rows]), best, rtol=1e-4, err_msg=name)


def entropies(probs):
    """Return the entropy of each row."""
    p = np.maximum(np.asarray(probs, dtype=np.float64), 1e-300)
    return -(p * np.log(p)).sum(axis=1)


@pytest.mark.parametrize(("name", "tau"), [("k-center", 0.0), ("uwe", 1.0), ("U+F", 0.1)])
def test_coverage_follows_algorithm_1(name, tau, make_round):
    """Diversity would be sought in another space than the paper's, or not farthest first."""
    # All rows may be chosen: one that may not would be covered by its neighbor.
    round = make_round({"tau": tau} if tau else {}, barred=np.arange(0))
    points = (round.embeddings * (entropies(round.probs) ** tau)[:, None]).astype(np.float64)
    distance = np.linalg.norm(points[:, None] - points[round.labeled], axis=2).min(axis=1)
    for row in STRATEGIES[name].choose(round).order:
        assert distance[row] == pytest.approx(distance[round.candidates].max(), rel=1e-4)
        distance = np.minimum(distance, np.linalg.norm(points - points[row], axis=1))


def test_the_exact_coreset_covers_no_worse(make_round):
    """The exact strategy would be the greedy one, or worse."""
    from labelcut import KCenter

    round = make_round({"time_limit": 2.0})
    problem = KCenter(round.embeddings, BUDGET, labeled=round.labeled, candidates=round.candidates)
    radii = [problem.evaluate(chosen(name, round)).objective for name in ("k-center-exact", "F")]
    assert radii[0] <= radii[1]


def test_random_has_the_l1_score_that_is_expected():
    """Random would not be uniform: a bias that every other strategy would be compared with."""
    from labelcut import l1_score

    rng, truth = np.random.default_rng(0), np.repeat([0, 1, 2], [300, 90, 30])
    pool = Pool(np.zeros((420, 1), np.float32), truth, classes=3)
    nothing = np.zeros(0, np.int64)
    scores = [
        l1_score(truth[chosen("random", bare_round(pool, nothing, 30, seed))], 3)
        for seed in range(200)
    ]
    expected = [l1_score(rng.choice(truth, 30, replace=False), 3) for _ in range(4000)]
    assert abs(np.mean(scores) - np.mean(expected)) < 4 * np.std(expected) / np.sqrt(200)


def bare_round(pool, labeled, budget, seed=0, options=None):
    """Return a round without a model that could be asked."""
    return Round(
        pool,
        labeled,
        pool.truth[labeled],
        budget,
        0,
        seed,
        model=None,
        learner=None,
        options=options or {},
    )


def test_random_spaced_keeps_frames_apart(make_round):
    """Neighbors of labeled frames would be labeled again (thesis 2.5.2)."""
    round = make_round({"spacing": 2}, budget=25, labeled=np.arange(0, 600, 10)[:20])
    round.labels = round.pool.truth[round.labeled]
    rows = np.r_[round.labeled, chosen("random+R", round)]
    video, frame = rows // 10, rows % 10
    close = (video[:, None] == video) & (np.abs(frame[:, None] - frame) <= 2)
    assert close.sum() == len(rows)


def test_uniform_takes_the_middle_of_equal_stretches():
    """Frames would bunch in time."""
    table = {"video": np.repeat(["b", "a"], 10), "frame": np.tile(np.arange(10)[::-1], 2)}
    pool = Pool(np.zeros((20, 1), np.float32), np.zeros(20, int), classes=2, table=table)
    rows = chosen("uniform", bare_round(pool, np.zeros(0, np.int64), 4))
    # By time: a/0 is row 19, a/9 row 10, b/0 row 9; stretches of five, their third frames.
    np.testing.assert_array_equal(rows, [2, 7, 12, 17])


def test_uniform_entropy_takes_every_kth_frame_only(make_round):
    """The subsampled baseline would see what the paper takes away from it."""
    round = make_round({"every": 5}, budget=30)
    rows = chosen("uniform+entropy", round)
    assert set(rows % 10) <= {0, 5}
    free = round.candidates[round.candidates % 5 == 0]
    best = np.sort(entropies(round.probs)[free])[-30:]
    np.testing.assert_allclose(np.sort(entropies(round.probs)[rows]), best, rtol=1e-4)


def test_class_balance_is_balance_of_what_it_was_given(make_round):
    """The balance term would not be at work, or not on the corrected probabilities."""
    from labelcut import predicted_l1

    for name in ("entropy-cb", "bald-cb", "k-center-cb", "pseudo-label-cb"):
        round = make_round({"target": "fill"})
        plain = name.removesuffix("-cb").replace("pseudo-label", "entropy")
        labels = np.bincount(round.labels, minlength=10)
        scores = []
        for choice in (chosen(name, round), chosen(plain, make_round())):
            counts = labels + round.probs[choice].sum(axis=0)
            scores.append(np.abs(counts - counts.mean()).sum())
        assert scores[0] < scores[1], name
        assert 0 <= predicted_l1(round.probs, choice) <= 1


def test_the_knee_is_found_once_and_kept(make_round):
    """λ would change between cycles, which the thesis keeps fixed (003:975)."""
    for name in ("entropy-cb", "k-center-cb"):
        first = make_round()
        chosen(name, first)
        kept = first.memory["balance"]
        assert kept > 0
        later = make_round(memory={"balance": kept}, labeled=np.arange(120), cycle=3)
        later.labels = later.pool.truth[:120]
        chosen(name, later)
        assert later.memory["balance"] == kept
        given = make_round({"balance": 0.25})
        chosen(name, given)
        assert "balance" not in given.memory


def test_correction_serves_the_pool_and_not_the_labeled_mix(make_round, monkeypatch):
    """The corrected strategies would correct for another mix, or trust rows they learned from."""
    from labelcut.studies.campaign import by_balance

    seen = {}
    real = by_balance.correct_priors

    def spy(probs, trained_on, **arguments):
        seen.update(arguments, trained_on=trained_on)
        return real(probs, trained_on, **arguments)

    monkeypatch.setattr(by_balance, "correct_priors", spy)
    round = make_round(audit=np.arange(50, 60))
    chosen("entropy-cb-corrected", round)
    np.testing.assert_array_equal(seen["trained_on"], np.bincount(round.labels[:50], minlength=10))
    np.testing.assert_array_equal(seen["rows"], round.candidates)
    assert len(seen["held_out"]) == len(seen["held_out_classes"]) == 60


def drawn_imbalance(probs, rows, labels):
    """Return the mean ℓ1 distance of drawn labels, and those there are, from equal counts."""
    shares = probs[rows].astype(np.float64)
    edges = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)
    draws = np.random.default_rng(0).random((4000, len(rows), 1))
    classes = (draws > edges).sum(axis=2).clip(max=9)
    counts = np.stack([(classes == k).sum(axis=1) for k in range(10)], axis=1) + labels
    return np.abs(counts - counts.sum(axis=1, keepdims=True) / 10).sum(axis=1).mean()


@pytest.mark.parametrize("name", ["entropy-cb", "bald-cb", "pseudo-label-cb", "k-center-cb"])
def test_corrected_strategies_balance_the_labels_that_will_come(name, make_round, monkeypatch):
    """Predictions would be balanced, of which labels are only drawn."""
    from labelcut.studies.campaign import by_balance

    found = []
    real = by_balance.correct_priors

    def spy(*positional, **named):
        found.append(real(*positional, **named))
        return found[-1]

    monkeypatch.setattr(by_balance, "correct_priors", spy)
    rounds = [make_round(options) for options in ({}, {"chances": False})]
    choices = [chosen(f"{name}-corrected", round) for round in rounds]
    probs, labels = found[0].probs, np.bincount(rounds[0].labels, minlength=10)
    np.testing.assert_array_equal(probs, found[1].probs)
    doubt = [(probs[rows] * (1 - probs[rows])).sum() for rows in choices]
    assert doubt[0] < 0.99 * doubt[1]
    if name != "pseudo-label-cb":  # its quotas are of predicted classes, be they sure or not
        imbalance = [drawn_imbalance(probs, rows, labels) for rows in choices]
        assert imbalance[0] < 0.99 * imbalance[1]


@pytest.mark.parametrize(
    ("name", "knees"), [("entropy-cb-corrected", 2), ("k-center-cb-corrected", 3)]
)
def test_chances_are_balanced_at_several_knees_unless_told(make_round, name, knees):
    """λ would be another than documented, or a number of the user's be multiplied."""
    found = []
    for chances in (False, True):
        round = make_round({"chances": chances})
        chosen(name, round)
        found.append(round.memory["balance"])
    assert found[1] == pytest.approx(knees * found[0])
    given = make_round({"balance": found[1]})
    rows = chosen(name, given)
    assert "balance" not in given.memory
    np.testing.assert_array_equal(rows, chosen(name, make_round()))


@pytest.mark.parametrize(("name", "usual"), [("entropy-cb", 0.0), ("k-center-cb", 2.0)])
def test_mixes_are_smoothed_for_coresets_or_as_told(name, usual, make_round, monkeypatch):
    """Rare classes would be lost to coresets, or the option do nothing."""
    from labelcut.studies.campaign import by_balance

    smoothed = []
    real = by_balance.correct_priors

    def spy(*positional, **named):
        smoothed.append(named["smoothing"])
        return real(*positional, **named)

    monkeypatch.setattr(by_balance, "correct_priors", spy)
    for options in ({}, {"smoothing": 5.0}):
        chosen(f"{name}-corrected", make_round(options))
    assert smoothed == [usual, 5.0]
    with pytest.raises(InvalidInput, match="smoothing"):
        chosen(f"{name}-corrected", make_round({"smoothing": -1}))


def test_the_oracle_takes_mistakes(make_round):
    """The oracle of thesis 3.3.2 has an accuracy of zero on what it chooses."""
    round = make_round()
    rows = chosen("misclassified", round)
    assert (round.probs[rows].argmax(axis=1) != round.pool.truth[rows]).all()


def test_options_of_spacing_hold_for_every_problem(make_round):
    """A spacing that a campaign file states would be kept by some strategies only."""
    for name in ("entropy", "k-center", "entropy-cb", "badge"):
        rows = np.r_[:60, chosen(name, make_round({"spacing": 1}))]
        pairs = (rows[:, None] - rows == 1) & (rows[:, None] // 10 == rows // 10)
        assert not pairs[60:].any(), name


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("uwe", {"uncertainty": "doubt"}, "uncertainty: must be one of"),
        ("uniform+entropy", {"every": 0}, "every: must be a whole number"),
        ("uniform+entropy", {"every": 500}, "every: one frame in 500"),
        ("entropy-cb", {"balance": "much"}, "balance: must be a number or 'knee'"),
        ("entropy-cb-corrected", {"chances": "yes"}, "chances: must be true or false"),
        ("two-models", {"share": 2}, "share: must lie in"),
        ("oracle-fp", {}, "errors: must name a function"),
        ("random", {"spacing": 60}, "spacing"),
    ],
)
def test_bad_options_are_named(name, options, told, make_round):
    """A wrong option would be taken for another, or end in a traceback."""
    with pytest.raises(InvalidInput, match=told):
        chosen(name, make_round(options, budget=60))


@pytest.mark.parametrize("what", ["fp", "fn"])
def test_frames_are_chosen_by_the_mistakes_they_hold(what):
    """Counts of mistakes, estimated or true, would not reach the choice of frames."""
    from labelcut import TemporalCoherence, find_errors, solve
    from labelcut.problems.road_world import road_world

    world = road_world(0.01, seconds=(2, 3))
    graph = TemporalCoherence(world.detections, world.tracked, world.offsets)
    errors = find_errors(world.detections, world.truth)
    frames = world.detections.n_frames
    pool = Pool(np.zeros((frames, 1), np.float32), np.zeros(frames, int), classes=2)
    options = {"coherence": lambda model, pool: graph, "errors": lambda model, pool: errors}
    counts = {
        "temporal-coherence": solve(graph).table[what],
        "oracle": getattr(errors, what),
    }
    for name, values in counts.items():
        round = bare_round(pool, np.arange(5), 8, options=options)
        rows = chosen(f"{name}-{what}", round)
        best = np.sort(values[5:])[-8:]
        np.testing.assert_array_equal(np.sort(values[rows]), best)
        assert best[0] > 0


def test_functions_among_options_are_found_beside_the_file(tmp_path):
    """A detector named in a campaign file would reach its strategy as a name."""
    from labelcut.studies.campaign.files import read_campaign

    (tmp_path / "own.py").write_text("def detect(model, pool):\n    return None\n")
    for name, values in (("x", np.eye(40, dtype=np.float32)), ("y", np.arange(40) % 2)):
        np.save(tmp_path / f"{name}.npy", values)
    (tmp_path / "c.toml").write_text(
        "labelcut = 1\n[campaign]\nbudget = [4, 4]\ncycles = 1\n"
        "[data]\ninputs = 'x.npy'\ntruth = 'y.npy'\n"
        "[[strategy]]\nname = 'temporal-coherence-fp'\noptions = { coherence = 'own.py:detect' }\n"
    )
    (entrant,) = read_campaign(tmp_path / "c.toml").strategies
    assert entrant.options["coherence"].__name__ == "detect"
