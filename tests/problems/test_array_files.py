"""Arrays in files: what each kind gives back, and what no file may do."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from labelcut import InvalidInput
from labelcut.problems.array_files import read_array, write_array
from labelcut.problems.arrays import as_matrix

VALUES = np.array([0.1, -2.5, 1e-300, 3.0])


def test_npy_is_memory_mapped(tmp_path):
    """A pool larger than memory could not be read."""
    np.save(tmp_path / "x.npy", VALUES)
    found = read_array("x.npy", tmp_path, "x")
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, VALUES)


@pytest.mark.parametrize("source", ["x.npz#b", {"file": "x.npz", "key": "b"}])
def test_npz_gives_the_array_of_that_name(tmp_path, source):
    """Another array of the archive would be taken for it."""
    np.savez(tmp_path / "x.npz", a=-VALUES, b=VALUES)
    np.testing.assert_array_equal(read_array(source, tmp_path, "x"), VALUES)


def test_npz_of_one_array_needs_no_name(tmp_path):
    """The only array there is would have to be named."""
    np.savez(tmp_path / "x.npz", VALUES)
    np.testing.assert_array_equal(read_array("x.npz", tmp_path, "x"), VALUES)


def test_a_hash_in_a_file_name_is_a_name(tmp_path):
    """A file called a#b.npz could not be named at all."""
    np.savez(tmp_path / "a#b.npz", x=VALUES, y=-VALUES)
    source = {"file": "a#b.npz", "key": "x"}
    np.testing.assert_array_equal(read_array(source, tmp_path, "x"), VALUES)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1\n-2\n3\n", [1, -2, 3]),
        ("1\n2.5\nnan\n\n\n", [1, 2.5, np.nan]),
        ("0.1\r\n1e-300", [0.1, 1e-300]),
        ("007\nb\n", ["007", "b"]),
        ("99999999999999999999\n1", [1e20, 1]),
        ("", []),
    ],
)
def test_txt_gives_numbers_where_all_lines_are(tmp_path, text, values):
    """A value would be rounded, dropped or shifted by a line."""
    (tmp_path / "x.txt").write_text(text)
    found = read_array("x.txt", tmp_path, "x")
    np.testing.assert_array_equal(found, np.array(values))


@pytest.mark.parametrize("name", ["x.txt", "x.csv#id"])
def test_text_stays_text_where_it_is_asked_for(tmp_path, name):
    """The id 007 would become 7."""
    (tmp_path / "x.txt").write_text("007\n8\n")
    (tmp_path / "x.csv").write_text("id\n007\n8\n")
    assert read_array(name, tmp_path, "ids", text=True).tolist() == ["007", "8"]


def test_csv_gives_one_column_by_its_name(tmp_path):
    """Commas in quotes, or the mark that Excel writes, would shift or hide a column."""
    text = 'name,u,"a,b"\n"x, y",0.1,1\n"two\nlines",-2.5,2\n'
    (tmp_path / "x.csv").write_text(text, encoding="utf-8-sig")
    np.testing.assert_array_equal(read_array("x.csv#u", tmp_path, "x"), [0.1, -2.5])
    np.testing.assert_array_equal(read_array("x.csv#a,b", tmp_path, "x"), [1, 2])
    assert read_array("x.csv#name", tmp_path, "x").tolist() == ["x, y", "two\nlines"]


def test_parquet_gives_one_column_by_its_name(tmp_path):
    """Another column would be taken for it."""
    table = pa.table({"u": VALUES, "id": ["007", "8", "9", "é"]})
    pa.parquet.write_table(table, tmp_path / "x.parquet")
    np.testing.assert_array_equal(read_array("x.parquet#u", tmp_path, "x"), VALUES)
    found = read_array("x.parquet#id", tmp_path, "ids", text=True)
    assert found.tolist() == ["007", "8", "9", "é"]


def test_shards_keep_their_order(tmp_path):
    """Rows would be mixed up where an array comes in pieces."""
    np.save(tmp_path / "a.npy", np.ones((2, 3)))
    np.save(tmp_path / "b.npy", np.zeros((1, 3)))
    first, second = read_array(["a.npy", "b.npy"], tmp_path, "probs")
    assert (len(first), len(second)) == (2, 1)
    (tmp_path / "c.txt").write_text("5\n4\n")
    (tmp_path / "d.txt").write_text("3\n")
    np.testing.assert_array_equal(read_array(["c.txt", "d.txt"], tmp_path, "labeled"), [5, 4, 3])


def test_numbers_may_stand_in_the_file_itself(tmp_path):
    """A target of three numbers would need a file of its own."""
    np.testing.assert_array_equal(read_array([1, 2.5], tmp_path, "target"), [1, 2.5])
    assert read_array([], tmp_path, "labeled").size == 0


@pytest.mark.parametrize(
    ("parts", "dtype"),
    [
        ([np.float32], "<f4"),
        ([np.float64], "<f8"),
        ([np.float32, np.float64], "<f8"),
        ([np.int64], "<f8"),
        ([">f4"], "<f4"),
    ],
)
def test_matrices_are_written_without_loss(tmp_path, parts, dtype):
    """A saved problem would be another one, or twice as large as the first."""
    values = [np.array([[0.1, 7], [2**24 + 1, 3]]).astype(part) for part in parts]
    write_array(tmp_path / "x.npy", as_matrix(values, "probs"))
    found = np.load(tmp_path / "x.npy")
    assert found.dtype.str == dtype
    np.testing.assert_array_equal(found, np.concatenate([v.astype(float) for v in values]))


@pytest.mark.filterwarnings("ignore:Reading `.npy`:UserWarning")
@pytest.mark.parametrize("save", [np.save, np.savez, np.savez_compressed])
def test_damaged_files_are_one_clear_error(tmp_path, save):
    """A half-copied file would end in the traceback of a zip or token reader."""
    suffix = ".npy" if save is np.save else ".npz"
    save(tmp_path / f"whole{suffix}", np.arange(300.0))
    whole = (tmp_path / f"whole{suffix}").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for at in range(400):
        damaged = bytearray(whole)
        if at % 2:
            del damaged[rng.integers(len(damaged)) :]
        else:
            for _ in range(3):
                damaged[rng.integers(len(damaged))] = rng.integers(256)
        path = tmp_path / f"damaged{at}{suffix}"
        path.write_bytes(damaged)
        try:
            read_array(path.name, tmp_path, "probs")
        except InvalidInput as error:
            refused += 1
            assert str(error).startswith(f"probs: damaged{at}{suffix} ")  # noqa: PT017
    assert refused > 200


def test_a_column_is_read_without_pyarrow_only_by_advice(tmp_path, monkeypatch):
    """Who lacks the extra would get an import error instead of the command that mends it."""
    pa.parquet.write_table(pa.table({"u": VALUES}), tmp_path / "x.parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(InvalidInput, match=r"u: x\.parquet needs pyarrow; pip install 'labelcut\["):
        read_array("x.parquet", tmp_path, "u")
