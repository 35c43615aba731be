"""Problem files: what is written comes back, and what people write by hand is understood."""

import tomllib

import numpy as np
import pytest
import torch

from labelcut import ClassBalanced, Forbid, Include, load
from labelcut.problems import read_problem, save_problem

PROBS = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.5, 0.5], [0.3, 0.7]])
UTILITY = np.array([0.3, 0.5, 0.2, 0.4, 0.1])


@pytest.fixture
def write(tmp_path):
    """Return a function that writes arrays and a problem file, and reads it."""
    np.save(tmp_path / "p.npy", PROBS)
    np.save(tmp_path / "u.npy", UTILITY)

    def read(data="", problem="", rest=""):
        (tmp_path / "problem.toml").write_text(
            f"""
            labelcut = 1
            [problem]
            kind = "class-balanced"
            budget = 2
            {problem}
            [data]
            probs = "p.npy"
            utility = "u.npy"
            {data}
            {rest}
            """
        )
        return read_problem(tmp_path / "problem.toml")

    return read


PROBLEMS = {
    "plain": {},
    "everything": {
        "balance": 0.1,
        "target": [0.1, 1 / 3],
        "labeled": [2],
        "candidates": [0, 1, 4],
        "constraints": [Include([4]), Forbid([0, 2]), Include([])],
        "ids": ["007", "é", "a b", "", "x,y"],
        "table": {"image name": ["a", "b", "c", "d", "e"], "top": [1, 2, 3, 4, 5]},
    },
    "a rule": {"target": "fill", "labeled": [0, 1], "labeled_classes": [0, 0]},
    "int ids": {"ids": [7, 8, 9, 10, 2**60]},
    "float column": {"table": {"area": [0.1, np.nan, 1e-300, np.inf, 2]}},
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_saved_problem_comes_back(tmp_path, name):
    """A problem sent to a colleague would be another one."""
    problem = ClassBalanced(PROBS, UTILITY, 2, **PROBLEMS[name])
    problem.save(tmp_path / "p.toml")
    found = load(tmp_path / "p.toml")
    assert found.fingerprint == problem.fingerprint
    assert found.parameters() == problem.parameters()
    np.testing.assert_array_equal(found.candidates, problem.candidates)
    np.testing.assert_array_equal(found.labeled, problem.labeled)
    if problem.ids is None:
        assert found.ids is None
    else:
        assert found.ids.tolist() == problem.ids.tolist()
        assert found.ids.dtype.kind == problem.ids.dtype.kind
    assert list(found.table) == list(problem.table)
    for column, values in problem.table.items():
        np.testing.assert_array_equal(found.table[column], values)
    kinds = [(rule.kind, rule.rows.tolist()) for rule in problem.constraints]
    assert [(rule.kind, rule.rows.tolist()) for rule in found.constraints] == kinds


@pytest.mark.parametrize(
    "probs",
    [
        PROBS.astype(np.float32),
        [PROBS[:2].astype(np.float32), PROBS[2:]],
        [PROBS[:2], PROBS[2:].astype(np.float32)],
        torch.from_numpy(PROBS).float(),
        np.asfortranarray(PROBS),
        (PROBS > 0.5) | [[0, 0], [0, 0], [0, 0], [1, 0], [0, 0]],
    ],
    ids=["float32", "mixed shards", "mixed shards turned", "torch", "fortran", "one-hot"],
)
def test_every_kind_of_probabilities_comes_back(tmp_path, probs):
    """A saved solution could not be checked against its own saved problem."""
    problem = ClassBalanced(probs, UTILITY, 2)
    problem.save(tmp_path / "p.toml")
    assert load(tmp_path / "p.toml").fingerprint == problem.fingerprint


def test_truth_and_solve_come_back(tmp_path):
    """Reports would lose the true classes, and a solve its arguments."""
    problem = ClassBalanced(PROBS, UTILITY, 2)
    solve = {"method": "greedy", "time_limit": 2.5, "seed": 3, "options": {"starts": 4}}
    save_problem(problem, tmp_path / "p.toml", truth=np.array([0, 1, -1, 1, 0]), solve=solve)
    found = read_problem(tmp_path / "p.toml")
    assert found.truth.tolist() == [0, 1, -1, 1, 0]
    assert found.solve == solve
    assert found.problem.fingerprint == problem.fingerprint


def test_a_saved_file_is_what_people_write(tmp_path):
    """The written form and the documented one would be two formats."""
    ClassBalanced(PROBS, UTILITY, 2, target=[1, 1], ids=list("abcde")).save(tmp_path / "p.toml")
    content = tomllib.loads((tmp_path / "p.toml").read_text())
    assert content == {
        "labelcut": 1,
        "problem": {"kind": "class-balanced", "budget": 2, "balance": 1.0, "distance": "l1"},
        "data": {
            "probs": "p.data/probs.npy",
            "utility": "p.data/utility.npy",
            "target": "p.data/target.npy",
            "ids": "p.data/ids.npy",
        },
    }


def test_saving_again_leaves_no_older_array_in_use(tmp_path):
    """Ids of the problem that was there before would name the rows of the new one."""
    ClassBalanced(PROBS, UTILITY, 2, ids=list("abcde")).save(tmp_path / "p.toml")
    ClassBalanced(PROBS[:3], UTILITY[:3], 2).save(tmp_path / "p.toml")
    assert load(tmp_path / "p.toml").ids is None


def test_a_folder_may_be_moved(tmp_path, write):
    """Paths would be looked up where the program runs, not beside the file."""
    write()
    (tmp_path / "deep").mkdir()
    for name in ("p.npy", "u.npy", "problem.toml"):
        (tmp_path / name).rename(tmp_path / "deep" / name)
    assert load(tmp_path / "deep" / "problem.toml").budget == 2


def test_parameters_stand_in_the_file(write):
    """A parameter written down would be ignored."""
    problem = write("labeled = [0, 1, 2]\nlabeled_classes = [1, 1, 0]", 'target = "fill"').problem
    # three labels (1, 2) and two more: both classes rise to 2.5
    np.testing.assert_allclose(problem.target, [1.5, 0.5])
    assert write(problem="balance = 3").problem.balance == 3.0
    np.testing.assert_allclose(write(problem="target = [2, 0.5]").problem.target, [2, 0.5])


def test_counts_stand_in_the_file(write):
    """Labels counted elsewhere could not be stated."""
    problem = write("labeled_counts = [4, 0]", 'target = "fill"').problem
    np.testing.assert_allclose(problem.target, [0, 2])


@pytest.mark.parametrize("text", ['{ ids = "names.txt" }', '{ ids = ["d", "007"] }'])
def test_rows_may_be_given_by_id(tmp_path, write, text):
    """A list of file names would have to be turned into row numbers by hand."""
    (tmp_path / "ids.txt").write_text("007\nb\n7\nd\ne\n")
    (tmp_path / "names.txt").write_text("d\n007\n")
    problem = write(f'ids = "ids.txt"\nlabeled = {text}', "target = [1, 1]").problem
    np.testing.assert_array_equal(problem.labeled, [0, 3])
    assert problem.ids.tolist() == ["007", "b", "7", "d", "e"]


def test_ids_in_text_stay_text(tmp_path, write):
    """The id 007 would become 7 where all ids look like numbers, and rows be looked up by it."""
    (tmp_path / "ids.txt").write_text("007\n008\n7\n9\n10\n")
    (tmp_path / "names.txt").write_text("7\n008\n")
    data = 'ids = "ids.txt"\nlabeled = { ids = "names.txt" }'
    problem = write(data, "target = [1, 1]").problem
    assert problem.ids.tolist() == ["007", "008", "7", "9", "10"]
    np.testing.assert_array_equal(problem.labeled, [1, 2])


def test_rows_may_be_given_by_a_number_that_is_an_id(tmp_path, write):
    """The id 12 would be taken for row 12."""
    np.save(tmp_path / "ids.npy", [10, 11, 12, 13, 14])
    data = 'ids = "ids.npy"\ncandidates = { ids = [12, 10, 14] }'
    np.testing.assert_array_equal(write(data).problem.candidates, [0, 2, 4])


def test_constraints_stand_in_the_file(tmp_path, write):
    """A constraint written down would be ignored."""
    (tmp_path / "ids.txt").write_text("a\nb\nc\nd\ne\n")
    np.save(tmp_path / "mask.npy", np.arange(5) == 1)
    rest = """
        [[constraint]]
        kind = "include"
        rows = { ids = ["e"] }
        [[constraint]]
        kind = "forbid"
        rows = "mask.npy"
        [[constraint]]
        kind = "forbid"
        rows = [0]
    """
    problem = write('ids = "ids.txt"', rest=rest).problem
    np.testing.assert_array_equal(problem.included, [4])
    np.testing.assert_array_equal(problem.selectable, [2, 3, 4])


def test_ids_may_come_in_shards(tmp_path, write):
    """Ids written by several workers, not all of one length, could not be read."""
    (tmp_path / "a.txt").write_text("007\nb\n")
    (tmp_path / "b.txt").write_text("c\nd\ne\n")
    assert write('ids = ["a.txt", "b.txt"]').problem.ids.tolist() == ["007", "b", "c", "d", "e"]


def test_a_table_travels_with_the_problem(tmp_path, write):
    """A selection could not say which image and which corner it means."""
    (tmp_path / "t.csv").write_text("image,top\na.png,1\nb.png,2\nb.png,3\nc.png,4\nc.png,5\n")
    table = write(rest='[data.table]\nimage = "t.csv#image"\ntop = "t.csv#top"').problem.table
    assert table["image"].tolist() == ["a.png", "b.png", "b.png", "c.png", "c.png"]
    assert table["top"].tolist() == [1, 2, 3, 4, 5]


def test_truth_is_outside_the_fingerprint(write):
    """A solution would be refused because somebody looked up the true classes."""
    with_truth = write("truth = [0, 0, 1, -1, 1]")
    assert with_truth.truth.tolist() == [0, 0, 1, -1, 1]
    assert with_truth.problem.fingerprint == write().problem.fingerprint
    assert write().truth is None


def test_solve_is_outside_the_fingerprint(write):
    """A solution would be refused because of another time limit."""
    found = write(rest="[solve]\ntime_limit = 5\nseed = 2")
    assert found.solve == {"time_limit": 5, "seed": 2}
    assert found.problem.fingerprint == write().problem.fingerprint
