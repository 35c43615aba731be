"""The rows a problem is stated over: who is labeled, who may be chosen, what they are called."""

import numpy as np
import pytest

from labelcut import InvalidInput
from labelcut.problems.dataset import make_dataset


def test_candidates_are_all_rows_that_are_not_labeled():
    """Rows would be left out, or labeled twice, when nobody lists the candidates."""
    dataset = make_dataset(5, labeled=[3, 1])
    np.testing.assert_array_equal(dataset.labeled, [1, 3])
    np.testing.assert_array_equal(dataset.candidates, [0, 2, 4])
    np.testing.assert_array_equal(dataset.is_candidate, [True, False, True, False, True])


def test_some_rows_are_neither_labeled_nor_candidates():
    """A row that is broken or held out would be offered for labelling."""
    dataset = make_dataset(5, labeled=[1], candidates=[4, 0])
    np.testing.assert_array_equal(dataset.candidates, [0, 4])


def test_a_row_is_called_by_its_id():
    """A reader of an error would have to count rows in their own table."""
    dataset = make_dataset(5, ids=["a", "b", "007", "d", "e"])
    assert dataset.name(2) == "row 2 (id 007)"
    assert dataset.names(np.array([0, 1, 2, 3, 4])) == (
        "row 0 (id a), row 1 (id b), row 2 (id 007) and 2 more"
    )
    assert make_dataset(5).names(np.array([1, 3])) == "row 1, row 3"


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        (["007", "8"], "U"),
        ([7, 8], "i"),
        (np.array(["a", "b"], dtype=object), "U"),
        (np.array([7, 8], dtype=np.uint16), "u"),
    ],
)
def test_ids_keep_their_values(ids, kind):
    """The id 007 would come back as 7, and not be found again."""
    found = make_dataset(2, ids=ids).ids
    assert found.dtype.kind == kind
    assert found.tolist() == list(ids)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ids": ["a", "b"]}, r"ids: must name each of 3 rows once; got shape \(2,\)"),
        ({"ids": ["a", "b", "a"]}, "ids: must be distinct; a names row 0 and 1 more; make them"),
        ({"ids": [7, 7, 7]}, "ids: must be distinct; 7 names row 0 and 2 more"),
        ({"ids": [0.5, 1, 2]}, "ids: must be str or int; got float64; convert them to str"),
        ({"ids": [b"a", b"b", b"c"]}, r"ids: must be str or int; got \|S1"),
        ({"ids": np.array(["a", 1, 2], dtype=object)}, "ids: must be str or int; got object"),
        ({"labeled": [0], "candidates": [0, 1]}, "candidates: labeled rows cannot .*row 0 is in"),
        ({"labeled": [3]}, r"labeled: rows must lie in 0\.\.2; got 3"),
        ({"candidates": [1, 1]}, "candidates: rows must be distinct; row 1 comes twice"),
        ({"table": {"top": [1, 2]}}, r"table: column 'top' must have one value for .* 3 rows"),
        ({"table": {"box": np.ones((3, 4))}}, r"table: column 'box' .* got shape \(3, 4\)"),
    ],
)
def test_bad_rows_and_names_are_refused(arguments, message):
    """An answer would name other rows than the ones that were meant."""
    with pytest.raises(InvalidInput, match=message):
        make_dataset(3, **arguments)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (np.array(["a", None], dtype=object), ["a", "None"]),
        (np.array(["2024-01-31", "2024-02-01"], dtype="M8[D]"), ["2024-01-31", "2024-02-01"]),
        (np.array([b"x", b"y"]), ["x", "y"]),
    ],
    ids=["object", "date", "bytes"],
)
def test_columns_that_json_cannot_hold_become_text(column, text):
    """A solution would be found and then fail to be saved."""
    assert make_dataset(2, table={"x": column}).table["x"].tolist() == text
