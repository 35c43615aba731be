"""The array border: every backend and layout becomes the same numbers, and no input is harmed."""

import mmap
import tracemalloc

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from labelcut import ClassBalanced, Forbid, Include, InvalidInput
from labelcut.problems.arrays import as_integers, as_matrix, as_number, as_rows, as_vector, to_numpy

PROBS = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.5, 0.5]])
UTILITY = np.array([0.3, 0.5, 0.2, 0.4])


def layouts():
    """Return the same probabilities in every layout that is not the plain one."""
    wide = np.zeros((4, 4))
    wide[:, ::2] = PROBS
    torch_wide = torch.zeros(2, 4, dtype=torch.float64)
    torch_wide.copy_(torch.from_numpy(PROBS.T.copy()))
    frozen = PROBS.copy()
    frozen.flags.writeable = False
    return {
        "list": PROBS.tolist(),
        "fortran": np.asfortranarray(PROBS),
        "columns skipped": wide[:, ::2],
        "rows reversed twice": PROBS[::-1].copy()[::-1],
        "big-endian": PROBS.astype(">f8"),
        "read-only": frozen,
        "shards": [PROBS[:1], PROBS[1:]],
        "shards with an empty one": (PROBS[:2], PROBS[2:2], PROBS[2:]),
        "torch": torch.from_numpy(PROBS.copy()),
        "torch, transposed": torch_wide.T,
        "torch with gradients": torch.from_numpy(PROBS.copy()).requires_grad_(),
        "shards of two backends": [PROBS[:2], torch.from_numpy(PROBS[2:].copy())],
    }


@pytest.mark.parametrize("layout", layouts())
def test_layout_does_not_change_the_problem(layout):
    """An answer would depend on how an array happens to lie in memory."""
    plain = ClassBalanced(PROBS, UTILITY, 2)
    other = ClassBalanced(layouts()[layout], UTILITY, 2)
    assert other.fingerprint == plain.fingerprint
    assert other.evaluate([1, 2]) == plain.evaluate([1, 2])
    np.testing.assert_array_equal(other.probs.take(np.array([3, 0])), PROBS[[3, 0]])
    np.testing.assert_array_equal(other.probs.dot(np.array([1.0, -2.0])), PROBS @ [1.0, -2.0])


def test_chunks_cover_all_rows_in_order_over_shards(monkeypatch):
    """Rows would be skipped, repeated or swapped where a chunk or a shard ends."""
    monkeypatch.setattr("labelcut.problems.arrays.CHUNK_VALUES", 6)
    values = np.arange(34.0).reshape(17, 2)
    matrix = as_matrix([values[:4], values[4:5], values[5:]], "x")
    seen = np.full((17, 2), np.nan)
    for first, chunk in matrix.chunks():
        assert len(chunk) <= 3
        seen[first : first + len(chunk)] = chunk
    np.testing.assert_array_equal(seen, values)
    rows = np.array([16, 0, 4, 3, 5, 4])
    np.testing.assert_array_equal(matrix.take(rows), values[rows])


def test_chunk_size_does_not_change_the_problem(monkeypatch):
    """A large problem would be another one than its small pieces say."""
    rng = np.random.default_rng(0)
    probs = rng.dirichlet([1, 1, 1], size=50)
    whole = ClassBalanced(probs, probs.max(axis=1), 3)
    monkeypatch.setattr("labelcut.problems.arrays.CHUNK_VALUES", 7)
    pieces = ClassBalanced(probs, probs.max(axis=1), 3)
    assert pieces.fingerprint == whole.fingerprint
    np.testing.assert_array_equal(pieces.probs.scale, whole.probs.scale)
    np.testing.assert_array_equal(pieces.probs.argmax(), probs.argmax(axis=1))


@pytest.mark.parametrize("whole", [True, False], ids=["one array", "shards"])
@pytest.mark.parametrize("backend", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize(
    "rows", [slice(0, 9), slice(2, 7), [8, 0, 3, 3, 5], [4], []], ids=["all", "some", *"abc"]
)
def test_stored_rows_come_in_the_order_asked_for(rows, backend, whole):
    """Rows of several shards would come shard by shard, and centers take each other's names."""
    values = np.arange(18.0).reshape(9, 2)
    parts = [values] if whole else [values[:3], values[3:4], values[4:]]
    matrix = as_matrix([backend(part) for part in parts], "values")
    at = rows if isinstance(rows, slice) else np.array(rows, dtype=np.int64)
    assert to_numpy(matrix.stored(at)).tolist() == values[at].tolist()


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint8, np.bool_, torch.int32, torch.bool])
def test_one_hot_labels_are_probabilities(dtype):
    """Certain rows could not be stated as the integers they are."""
    one_hot = np.array([[1, 0], [0, 1], [0, 1]])
    tensor = isinstance(dtype, torch.dtype)
    probs = torch.from_numpy(one_hot).to(dtype) if tensor else one_hot.astype(dtype)
    problem = ClassBalanced(probs, [1, 2, 3], 2)
    assert problem.evaluate([0, 1]).terms["imbalance"] == 0
    assert problem.fingerprint == ClassBalanced(one_hot.astype(float), [1, 2, 3], 2).fingerprint


@pytest.mark.parametrize(
    "rows",
    [
        [2, 0],
        (0, 2),
        np.array([2, 0], dtype=np.uint8),
        np.array([0.0, 2.0]),
        np.array([True, False, True, False]),
        torch.tensor([2, 0]),
        torch.tensor([True, False, True, False]),
    ],
    ids=["list", "tuple", "uint8", "whole floats", "mask", "torch", "torch mask"],
)
def test_rows_come_as_numbers_or_mask(rows):
    """The same rows would be others when given as a mask or by torch."""
    found = as_rows(rows, "labeled", 4)
    np.testing.assert_array_equal(found, [0, 2])
    assert found.dtype == np.int64


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([0, 4], r"labeled: rows must lie in 0\.\.3; got 4; pass rows"),
        ([-1], r"labeled: rows must lie in 0\.\.3; got -1"),
        ([1, 2, 1], "labeled: rows must be distinct; row 1 comes twice; drop one"),
        ([True, False], "labeled: a mask must have one value for each of 4 rows; got 2"),
        ([[1]], r"labeled: must be a one-dimensional list of rows; got shape \(1, 1\)"),
        (3, r"labeled: must be a one-dimensional list of rows; got shape \(\)"),
        ([0.5], r"labeled: must be whole numbers; got 0\.5; pass integers"),
        ([np.nan], "labeled: must be whole numbers; got nan"),
        ([1e30], r"labeled: must be whole numbers; got 1e\+30"),
        (["a"], "labeled: must be whole numbers; got <U1; pass integers"),
        ([[1], [2, 3]], "labeled: every row must have the same length; .*rectangular"),
    ],
)
def test_bad_rows_are_refused(rows, message):
    """A wrong row would select or protect another one in silence."""
    with pytest.raises(InvalidInput, match=message):
        as_rows(rows, "labeled", 4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", "b"], "utility: must be real numbers; got <U1; convert to float"),
        ([1j, 2], "utility: must be real numbers; got complex128"),
        ([[1.0], [2.0]], r"utility: must be one-dimensional; got shape \(2, 1\)"),
        ([1.0], "utility: must have 2 values; got 1; pass one value for each"),
        ([1.0, [2.0]], "utility: every row must have the same length"),
    ],
)
def test_bad_vectors_are_refused(values, message):
    """Utilities would be cut, repeated or guessed."""
    with pytest.raises(InvalidInput, match=message):
        as_vector(values, "utility", 2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], r"probs: must have rows; got an empty list; pass an array \(N, columns\)"),
        (np.empty((0, 2)), r"probs: must have rows and columns; got shape \(0, 2\)"),
        (np.empty((2, 0)), r"probs: must have rows and columns; got shape \(2, 0\)"),
        (np.ones(3), r"probs: must be two-dimensional \(rows, columns\); got shape \(3,\)"),
        (np.ones((2, 2, 2)), r"probs: must be two-dimensional .* got shape \(2, 2, 2\)"),
        ([["a", "b"]], "probs: must be real numbers; got str.*; convert to float32"),
        (np.ones((2, 2)) * 1j, "probs: must be real numbers; got complex128"),
        ([np.ones((2, 2)), np.ones((2, 3))], "probs: shards must have the same columns; got 2 and"),
        ([[1.0], [0.5, 0.5]], "probs: every row must have the same length"),
        (csr_array(np.eye(2)), "probs: must be dense; got a sparse csr_array; pass its .toarray"),
    ],
)
def test_bad_matrices_are_refused(values, message):
    """A wrong shape or type would surface later, as an error that names nothing."""
    with pytest.raises(InvalidInput, match=message):
        as_matrix(values, "probs")


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.array(2), torch.tensor(2.0)])
def test_a_number_comes_in_any_backend(value):
    """A budget or a balance read from an array would be refused."""
    assert as_number(value, "balance") == 2.0


@pytest.mark.parametrize("value", [None, "2", [2], True, 1j])
def test_what_is_no_number_is_refused(value):
    """A typing mistake would end in another library's traceback."""
    with pytest.raises(InvalidInput, match=r"balance: must be one number; got .*; pass a float"):
        as_number(value, "balance")


def test_bfloat16_utility_keeps_its_values():
    """Scores computed in bfloat16, which NumPy lacks, could not be used."""
    scores = torch.tensor([0.5, 1.25], dtype=torch.bfloat16)
    np.testing.assert_array_equal(as_vector(scores, "utility"), [0.5, 1.25])
    np.testing.assert_array_equal(to_numpy(scores), [0.5, 1.25])


def test_empty_lists_are_rows():
    """An empty list, which NumPy calls float, would be refused where it says 'none'."""
    assert as_rows([], "labeled", 4).dtype == np.int64
    assert as_integers([], "labeled_classes").dtype == np.int64


def test_what_a_problem_holds_is_read_only():
    """A caller could change a problem after it was validated and hashed."""
    problem = ClassBalanced(
        PROBS,
        UTILITY,
        1,
        target=[0.5, 0.5],
        labeled=[0],
        constraints=[Include([1]), Forbid([2])],
        ids=list("abcd"),
        table={"x": np.arange(4)},
    )
    held = [
        problem.utility,
        problem.target,
        problem.labeled,
        problem.candidates,
        problem.ids,
        problem.table["x"],
        problem.probs.scale,
        problem.selectable,
        problem.included,
        *(constraint.rows for constraint in problem.constraints),
    ]
    for array in held:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[0]


def test_changing_utility_afterwards_does_not_change_the_problem():
    """A vector is copied, so a score recomputed in place must not reach a validated problem."""
    utility, target = UTILITY.copy(), np.array([0.5, 0.5])
    problem = ClassBalanced(PROBS, utility, 1, target=target)
    utility[:], target[:] = 9, 9
    np.testing.assert_array_equal(problem.utility, UTILITY)
    np.testing.assert_array_equal(problem.target, [0.5, 0.5])


def test_inputs_are_left_as_they_were():
    """Solving would change the caller's arrays, here their not normalized rows."""
    probs = PROBS * 1.0005
    before = probs.copy()
    problem = ClassBalanced(probs, UTILITY, 2)
    problem.evaluate([0, 1])
    problem.lower_bound(np.zeros(2))
    np.testing.assert_array_equal(probs, before)
    assert probs.flags.writeable


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_memory_maps_keep_their_values(tmp_path, mode):
    """Pages given back after reading would take the values, or the caller's changes, with them."""
    np.save(tmp_path / "p.npy", np.full((4, 2), 0.5))
    probs = np.load(tmp_path / "p.npy", mmap_mode=mode)
    if mode != "r":
        probs[:] = PROBS
    expected = np.array(probs)
    problem = ClassBalanced(probs, UTILITY, 2)
    problem.evaluate([0, 3])
    np.testing.assert_array_equal(probs, expected)
    np.testing.assert_array_equal(np.concatenate([c for _, c in problem.probs.chunks()]), expected)


@pytest.mark.parametrize("view", [np.asarray, lambda m: m[1:], lambda m: np.asarray(m[1:])[::-1]])
def test_views_of_a_private_map_keep_the_callers_changes(tmp_path, view):
    """A slice of a copy-on-write map would be put back to what the file says."""
    np.save(tmp_path / "p.npy", np.full((4, 2), 0.5))
    probs = np.load(tmp_path / "p.npy", mmap_mode="c")
    probs[:] = PROBS
    part = view(probs)
    ClassBalanced(part, UTILITY[: len(part)], 2)
    np.testing.assert_array_equal(probs, PROBS)


@pytest.mark.skipif(not hasattr(mmap, "MAP_PRIVATE"), reason="this system has no private maps")
def test_a_bare_private_map_keeps_its_values():
    """An array on a private map that NumPy did not open would be wiped to zeros."""
    pages = mmap.mmap(-1, PROBS.nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    probs = np.ndarray(PROBS.shape, buffer=pages)
    probs[:] = PROBS
    ClassBalanced(probs, UTILITY, 2)
    np.testing.assert_array_equal(probs, PROBS)


def test_a_large_map_is_never_copied_whole(tmp_path):
    """A pool larger than memory could not be stated."""
    rows, classes = 200_000, 64
    maps = np.lib.format.open_memmap(tmp_path / "p.npy", "w+", np.float32, (rows, classes))
    maps[:] = 1 / classes
    maps.flush()
    probs = np.load(tmp_path / "p.npy", mmap_mode="r")
    tracemalloc.start()
    problem = ClassBalanced(probs, np.zeros(rows), 10)
    problem.lower_bound(np.zeros(classes))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < probs.nbytes * 0.8  # 51 MB as given, 102 MB as float64
