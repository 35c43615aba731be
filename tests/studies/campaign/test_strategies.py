"""The strategies that come with labelcut: what each one chooses, by a definition of its own."""

import numpy as np
import pytest

from labelcut.problems import InvalidInput
from labelcut.studies.campaign import Pool, Round
from labelcut.studies.campaign.strategies import STRATEGIES

BUDGET = 40
PLAIN = sorted(name for name, strategy in STRATEGIES.items() if not strategy.functions)


@pytest.mark.parametrize("name", PLAIN)
def test_every_strategy_chooses_what_a_round_asks_for(name, make_round, chosen):
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


def test_uncertainties_choose_the_rows_of_their_formulas(make_round, chosen):
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


def test_the_exact_coreset_covers_no_worse(make_round, chosen):
    """The exact strategy would be the greedy one, or worse."""
    from labelcut import KCenter

    round = make_round({"time_limit": 2.0})
    problem = KCenter(round.embeddings, BUDGET, labeled=round.labeled, candidates=round.candidates)
    radii = [problem.evaluate(chosen(name, round)).objective for name in ("k-center-exact", "F")]
    assert radii[0] <= radii[1]


def test_random_has_the_l1_score_that_is_expected(chosen):
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


def test_random_spaced_keeps_frames_apart(make_round, chosen):
    """Neighbors of labeled frames would be labeled again (thesis 2.5.2)."""
    round = make_round({"spacing": 2}, budget=25, labeled=np.arange(0, 600, 10)[:20])
    round.labels = round.pool.truth[round.labeled]
    rows = np.r_[round.labeled, chosen("random+R", round)]
    video, frame = rows // 10, rows % 10
    close = (video[:, None] == video) & (np.abs(frame[:, None] - frame) <= 2)
    assert close.sum() == len(rows)


def test_uniform_takes_the_middle_of_equal_stretches(chosen):
    """Frames would bunch in time."""
    table = {"video": np.repeat(["b", "a"], 10), "frame": np.tile(np.arange(10)[::-1], 2)}
    pool = Pool(np.zeros((20, 1), np.float32), np.zeros(20, int), classes=2, table=table)
    rows = chosen("uniform", bare_round(pool, np.zeros(0, np.int64), 4))
    # By time: a/0 is row 19, a/9 row 10, b/0 row 9; stretches of five, their third frames.
    np.testing.assert_array_equal(rows, [2, 7, 12, 17])


def test_uniform_entropy_takes_every_kth_frame_only(make_round, chosen):
    """The subsampled baseline would see what the paper takes away from it."""
    round = make_round({"every": 5}, budget=30)
    rows = chosen("uniform+entropy", round)
    assert set(rows % 10) <= {0, 5}
    free = round.candidates[round.candidates % 5 == 0]
    best = np.sort(entropies(round.probs)[free])[-30:]
    np.testing.assert_allclose(np.sort(entropies(round.probs)[rows]), best, rtol=1e-4)


def test_the_oracle_takes_mistakes(make_round, chosen):
    """The oracle of thesis 3.3.2 has an accuracy of zero on what it chooses."""
    round = make_round()
    rows = chosen("misclassified", round)
    assert (round.probs[rows].argmax(axis=1) != round.pool.truth[rows]).all()


def test_options_of_spacing_hold_for_every_problem(make_round, chosen):
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
def test_bad_options_are_named(name, options, told, make_round, chosen):
    """A wrong option would be taken for another, or end in a traceback."""
    with pytest.raises(InvalidInput, match=told):
        chosen(name, make_round(options, budget=60))


@pytest.mark.parametrize("what", ["fp", "fn"])
def test_frames_are_chosen_by_the_mistakes_they_hold(what, chosen):
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
