"""Solutions as JSON: every field comes back as it was, and nothing else is taken."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelcut import ClassBalanced, InvalidInput, Selection, check, load
from labelcut.problems import Certificate, Sense, Status, StoppedBy

FULL = Selection(
    sense=Sense.MIN,
    objective=-0.1 - 0.2,
    bound=-1 / 3,
    status=Status.FEASIBLE,
    stopped_by=StoppedBy.TIME,
    terms={"utility": 1e-300, "imbalance": 0.1, "unreachable": 0.0},
    certificate=Certificate("multipliers", True, -1 / 3, {"multipliers": [0.1, -1 / 3, 5e-324]}),
    reason=None,
    method="exact",
    seed=7,
    runtime=0.25,
    info={"nodes": 3, "auto": "because", "trace": [[0.1, None], [0.2, 1.5]]},
    fingerprint="0123456789abcdef",
    indices=np.array([2, 5]),
    order=np.array([5, 2]),
    ids=np.array(["007", "é"]),
    table={"top": np.array([0.1, np.nan]), "image": np.array(["a", "b"]), "n": np.array([1, 2])},
)
EMPTY = replace(
    FULL,
    objective=None,
    bound=None,
    status=Status.INFEASIBLE,
    stopped_by=StoppedBy.EXHAUSTED,
    terms={},
    certificate=None,
    reason="Include and Forbid contradict each other",
    indices=np.empty(0, dtype=np.int64),
    order=None,
    ids=None,
    table={},
)


def assert_same(one, other):
    """Compare values of any field, arrays by value and kind."""
    if isinstance(one, np.ndarray):
        assert one.dtype.kind == other.dtype.kind
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, Certificate):
        assert vars(one) == vars(other)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key, value in one.items():
            assert_same(value, other[key])
    else:
        assert one == other
        assert type(one) is type(other)


@pytest.mark.parametrize("solution", [FULL, EMPTY], ids=["full", "empty"])
def test_every_field_comes_back(tmp_path, solution):
    """A solution would change by being saved."""
    solution.save(tmp_path / "s.json")
    found = load(tmp_path / "s.json")
    for field in fields(Selection):
        assert_same(getattr(solution, field.name), getattr(found, field.name))
    assert (found.gap, found.abs_gap) == (solution.gap, solution.abs_gap)


def test_int_ids_come_back_as_ints(tmp_path):
    """The id 7 would come back as '7' and not be found again."""
    replace(FULL, ids=np.array([7, 2**60])).save(tmp_path / "s.json")
    assert load(tmp_path / "s.json").ids.tolist() == [7, 2**60]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_come_back_exactly(tmp_path_factory, number):
    """A bound would be rounded above the truth on its way through a file."""
    path = tmp_path_factory.getbasetemp() / "exact.json"
    replace(FULL, objective=number, bound=number).save(path)
    found = load(path)
    assert (found.objective, found.bound) == (number, number)


def test_the_file_is_strict_json_that_others_can_read(tmp_path):
    """A reader in another language would stop at NaN, or miss the gap."""
    FULL.save(tmp_path / "s.json")

    def refuse(token):
        raise AssertionError(token)

    text = (tmp_path / "s.json").read_text(encoding="utf-8")
    content = json.loads(text, parse_constant=refuse)
    assert content["labelcut"] == 1
    assert content["kind"] == "selection"
    assert content["indices"] == [2, 5]
    assert content["status"] == "feasible"
    assert content["table"]["top"] == [0.1, None]
    # |-0.3 + 1/3| and the same by 0.3
    assert content["abs_gap"] == pytest.approx(1 / 30)
    assert content["gap"] == pytest.approx(1 / 9)


def test_what_comes_back_is_read_only(tmp_path):
    """A loaded answer could be changed before it is checked."""
    FULL.save(tmp_path / "s.json")
    found = load(tmp_path / "s.json")
    for array in (found.indices, found.order, found.ids, found.table["top"]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[0]


def test_a_saved_answer_can_be_checked(tmp_path):
    """Saving would lose something that the check needs, here a column with a hole."""
    problem = ClassBalanced(
        [[0.9, 0.1], [0.2, 0.8]], [0.3, 0.5], 1, ids=["a", "b"], table={"top": [np.nan, 1.0]}
    )
    evaluation = problem.evaluate([0])
    answer = replace(
        FULL,
        objective=evaluation.objective,
        terms=evaluation.terms,
        bound=None,
        certificate=None,
        indices=np.array([0]),
        order=None,
        ids=np.array(["a"]),
        table={"top": np.array([np.nan])},
        fingerprint=problem.fingerprint,
    )
    answer.save(tmp_path / "s.json")
    assert check(problem, load(tmp_path / "s.json")).rows == 1


CHANGES = [
    ({"labelcut": 2}, r"has format 2, this version reads 1; solve again or upgrade labelcut"),
    ({"labelcut": None}, "has format None, this version reads 1"),
    ({"kind": "plan"}, "holds no selection; give one that solve wrote"),
    ({"extra": 1}, "unknown field 'extra'; save it again"),
    ({"status": "great"}, "'great' is not a valid Status"),
    ({"sense": "up"}, "'up' is not a valid Sense"),
    ({"stopped_by": "boredom"}, "'boredom' is not a valid StoppedBy"),
    ({"objective": "a"}, "could not convert string to float: 'a'"),
    ({"indices": ["a"]}, "indices: must be whole numbers; got <U1"),
    ({"indices": [0.5]}, r"indices: must be whole numbers; got 0\.5"),
    ({"indices": None}, "indices: must be whole numbers; got object"),
    ({"order": [1e30]}, r"order: must be whole numbers; got 1e\+30"),
    ({"terms": [1]}, "save it again"),
    ({"table": [1]}, "save it again"),
    ({"info": 3}, "save it again"),
    ({"certificate": [1]}, "save it again"),
    ({"certificate": {"kind": "multipliers"}}, "lacks 'recheckable'"),
    ({"seed": float("inf")}, "cannot convert float infinity to integer"),
    ({"runtime": None}, "save it again"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES, ids=range(len(CHANGES)))
def test_changed_files_are_one_clear_error(tmp_path, change, message):
    """A file of another kind or version would be read as a selection, or end in a traceback."""
    FULL.save(tmp_path / "s.json")
    content = json.loads((tmp_path / "s.json").read_text())
    (tmp_path / "s.json").write_text(json.dumps({**content, **change}))
    with pytest.raises(InvalidInput, match=rf"^solution: s\.json.*{message}"):
        load(tmp_path / "s.json")


@pytest.mark.parametrize("name", [field.name for field in fields(Selection)])
def test_a_missing_field_is_named(tmp_path, name):
    """A claim could be dropped from a file without anybody noticing."""
    FULL.save(tmp_path / "s.json")
    content = json.loads((tmp_path / "s.json").read_text())
    del content[name]
    (tmp_path / "s.json").write_text(json.dumps(content))
    with pytest.raises(InvalidInput, match=rf"solution: s\.json: lacks '{name}'; save it again"):
        load(tmp_path / "s.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", r"s\.json is no JSON \(Expecting property name.*\); save it again"),
        (b"", r"s\.json is no JSON \(Expecting value"),
        (b'{"labelcut": 1, "kind": "sel', r"s\.json is no JSON \(Unterminated string"),
        ("é".encode("latin-1"), r"s\.json is no JSON \('utf-8' codec can't decode"),
        (b"[1, 2]", r"s\.json holds no selection; give one that solve wrote"),
        (b"3", r"s\.json holds no selection"),
    ],
)
def test_what_is_no_solution_is_refused(tmp_path, content, message):
    """A cut or foreign file would end in a traceback."""
    (tmp_path / "s.json").write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        load(tmp_path / "s.json")


def test_a_folder_is_no_solution(tmp_path):
    """A folder would end in a traceback."""
    (tmp_path / "s.json").mkdir()
    with pytest.raises(InvalidInput, match=r"solution: .*s\.json is a folder; give a file in it"):
        load(tmp_path / "s.json")


def test_summary_tells_what_is_known():
    """A reader would not see how good the answer is, or why there is none."""
    lines = FULL.summary().splitlines()
    assert lines[0] == "2 rows by exact: feasible"
    assert "objective  -0.3 (min)" in lines
    assert "bound      -0.333333 (gap 0.11)" in lines
    assert "seconds    0.25 (stopped by time)" in lines
    assert "reason     Include and Forbid contradict each other" in EMPTY.summary()


@pytest.mark.parametrize(
    ("sense", "objective", "bound", "abs_gap", "gap"),
    [
        (Sense.MIN, 4.0, 3.0, 1.0, 0.25),
        (Sense.MAX, 4.0, 5.0, 1.0, 0.25),
        (Sense.MIN, -4.0, -5.0, 1.0, 0.25),
        (Sense.MIN, 4.0, 4.001, 0.0, 0.0),
        (Sense.MAX, 4.0, 3.999, 0.0, 0.0),
        (Sense.MIN, 0.0, -1e-12, 1e-12, 0.01),
        (Sense.MIN, 4.0, None, None, None),
        (Sense.MIN, None, 3.0, None, None),
    ],
)
def test_gap_by_hand(sense, objective, bound, abs_gap, gap):
    """An answer would be called closer to the best than it is, or worse than exact."""
    solution = replace(FULL, sense=sense, objective=objective, bound=bound)
    assert solution.abs_gap == pytest.approx(abs_gap)
    assert solution.gap == pytest.approx(gap)
