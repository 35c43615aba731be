"""Problem files of k-center: what is written comes back, and mistakes are named."""

import tomllib

import numpy as np
import pytest
import torch

from labelcut import Factored, Forbid, Include, InvalidInput, KCenter, load
from labelcut.problems import read_problem

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(12, 5))
OTHERS = RNG.normal(size=(12, 3))
PROBS = RNG.dirichlet([1.0] * 3, size=12)
TABLE = np.abs(POINTS[:, :1] - POINTS[:, 0])

PROBLEMS = {
    "plain": lambda: KCenter(POINTS, 3),
    "float32": lambda: KCenter(POINTS.astype(np.float32), 3, metric="cosine"),
    "float16": lambda: KCenter(POINTS.astype(np.float16), 3),
    "integers": lambda: KCenter(np.round(POINTS * 9).astype(np.int64), 3),
    "shards": lambda: KCenter([POINTS[:4].astype(np.float32), POINTS[4:]], 3),
    "torch": lambda: KCenter(torch.from_numpy(POINTS), 3),
    "far off": lambda: KCenter(POINTS + 1e4, 3, metric="squared-euclidean"),
    "factored": lambda: KCenter(Factored(POINTS, OTHERS, "cosine"), 3, outliers=2),
    "distances": lambda: KCenter.from_distances(TABLE, 3, outliers=1),
    "distances in float32": lambda: KCenter.from_distances(TABLE.astype(np.float32), 3),
    "classes": lambda: KCenter(
        POINTS, 3, probs=PROBS, balance=0.3, target="fill", labeled=[1, 2], labeled_classes=[0, 0]
    ),
    "wasserstein": lambda: KCenter.from_distances(
        TABLE, 3, probs=PROBS, balance=2, distance="wasserstein", ground_cost=1 - np.eye(3)
    ),
    "everything": lambda: KCenter(
        POINTS,
        3,
        labeled=[0, 5],
        candidates=[1, 2, 3, 4, 9],
        constraints=[Include([4]), Forbid([9])],
        ids=[f"image-{row}" for row in range(12)],
        table={"top": np.arange(12)},
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_saved_problem_comes_back(tmp_path, name):
    """A problem sent to a colleague would be another one."""
    problem = PROBLEMS[name]()
    problem.save(tmp_path / "p.toml")
    found = load(tmp_path / "p.toml")
    assert found.fingerprint == problem.fingerprint
    assert found.parameters() == problem.parameters()
    assert found.facts() == problem.facts()
    rows = problem.random_rows(np.random.default_rng(1))
    assert found.evaluate(rows) == problem.evaluate(rows)
    assert (found.ids is None) == (problem.ids is None)
    assert list(found.table) == list(problem.table)


def test_a_saved_file_is_what_people_write(tmp_path):
    """The written form and the documented one would be two formats."""
    KCenter(POINTS, 3, labeled=[0]).save(tmp_path / "p.toml")
    assert tomllib.loads((tmp_path / "p.toml").read_text()) == {
        "labelcut": 1,
        "problem": {"kind": "k-center", "budget": 3, "metric": "euclidean", "outliers": 0},
        "data": {"embeddings": "p.data/embeddings.npy", "labeled": "p.data/labeled.npy"},
    }


def test_functions_cannot_be_saved(tmp_path):
    """A file would hold a problem without its distances, or an older one's."""
    problem = KCenter.from_distances(lambda rows: TABLE[rows], 3, size=12)
    assert not problem.in_files
    with pytest.raises(InvalidInput, match="distances: a function cannot be saved; pass the matr"):
        problem.save(tmp_path / "p.toml")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def write(tmp_path):
    """Return a function that writes arrays and a problem file, and reads it."""
    np.save(tmp_path / "x.npy", POINTS)
    np.save(tmp_path / "f.npy", OTHERS)
    np.save(tmp_path / "d.npy", TABLE)
    np.save(tmp_path / "p.npy", PROBS)
    np.savez(tmp_path / "both.npz", a=POINTS[:5], b=POINTS[5:])

    def read(data, problem=""):
        text = (
            f'labelcut = 1\n[problem]\nkind = "k-center"\nbudget = 3\n{problem}\n[data]\n{data}\n'
        )
        (tmp_path / "k.toml").write_text(text)
        return read_problem(tmp_path / "k.toml").problem

    return read


def test_each_way_to_state_distances_is_read(write):
    """A documented key would be refused or ignored."""
    plain = KCenter(POINTS, 3)
    assert write('embeddings = "x.npy"').fingerprint == plain.fingerprint
    shards = write('embeddings = ["both.npz#a", "both.npz#b"]')
    assert shards.fingerprint == plain.fingerprint
    cosine = write('left = "x.npy"\nright = "f.npy"', 'metric = "cosine"')
    assert cosine.fingerprint == KCenter(Factored(POINTS, OTHERS, "cosine"), 3).fingerprint
    given = write('distances = "d.npy"', "outliers = 2")
    assert given.fingerprint == KCenter.from_distances(TABLE, 3, outliers=2).fingerprint
    balanced = write('embeddings = "x.npy"\nprobs = "p.npy"', 'balance = 0.5\ndistance = "l2"')
    assert balanced.fingerprint == KCenter(
        POINTS, 3, probs=PROBS, balance=0.5, distance="l2"
    ).fingerprint  # fmt: skip


@pytest.mark.parametrize(
    ("data", "problem", "message"),
    [
        (
            "labeled = [0]",
            "",
            r"\[data\] embeddings: is missing; give embeddings, or left and right, or distances",
        ),
        (
            'embeddings = "x.npy"\ndistances = "d.npy"',
            "",
            r"\[data\] embeddings, distances: say the same thing twice over; take one of them out",
        ),
        ('left = "x.npy"\ndistances = "d.npy"', "", r"\[data\] left, distances: say the same"),
        ('left = "x.npy"', "", r"\[data\] right: is missing; name its array file"),
        ('right = "f.npy"', "", r"\[data\] left: is missing; name its array file"),
        ('embeding = "x.npy"', "", r"\[data\]: unknown key 'embeding'; did you mean 'embeddings'"),
        ('embeddings = "x.npy"\nutility = "x.npy"', "", r"\[data\]: unknown key 'utility'"),
        ('embeddings = "x.npy"', "outlier = 1", r"unknown key 'outlier'; did you mean 'outliers'"),
        ('embeddings = "x.npy"', "outliers = 1.5", r"\[problem\] outliers: must be int; got 1\.5"),
        ('embeddings = "x.npy"', "outliers = 12", "outliers: 12 of 12 rows may stay uncovered"),
        ('embeddings = "x.npy"', 'metric = "cosin"', "metric: must be one of euclidean, .*'cosin'"),
        ('embeddings = "x.npy"', "metric = 2", r"\[problem\] metric: must be str; got 2"),
        ('distances = "d.npy"', 'metric = "euclidean"', "metric: given distances have their own"),
        ('distances = "x.npy"', "", r"distances: must be square; got shape \(12, 5\)"),
        ('embeddings = "x.npy"', "balance = 1.0", "balance: needs class probabilities; pass probs"),
        ('embeddings = "x.npy"', 'target = "fill"', "target: needs class probabilities"),
        (
            'left = "x.npy"\nright = "both.npz#a"',
            "",
            "left, right: must have the same rows; got 12",
        ),
    ],
)
def test_mistakes_are_one_clear_error(write, data, problem, message):
    """A mistake in a file would be ignored, or end in a traceback."""
    with pytest.raises(InvalidInput, match=rf"^k\.toml: .*{message}"):
        write(data, problem)
