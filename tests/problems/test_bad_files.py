"""Bad problem files: each mistake is one error that names file, key, rule and the way out."""

import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from labelcut import ClassBalanced, InvalidInput, load
from labelcut.problems import read_problem

PLAIN = {
    "head": "labelcut = 1",
    "problem": '[problem]\nkind = "class-balanced"\nbudget = 2',
    "data": '[data]\nprobs = "p.npy"\nutility = "u.npy"',
    "rest": "",
}


@pytest.fixture
def folder(tmp_path):
    """Return a folder with good arrays and many bad ones."""
    probs = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.5, 0.5]])
    np.save(tmp_path / "p.npy", probs)
    np.save(tmp_path / "u.npy", np.arange(4.0))
    np.save(tmp_path / "logits.npy", probs * 7 - 3)
    np.save(tmp_path / "half.npy", probs.astype(np.float16))
    np.savez(tmp_path / "scores.npz", entropy=np.arange(4.0), margin=np.arange(4.0))
    (tmp_path / "scores.csv").write_text("entropy,margin\n1,2\n3,4\n5,6\n7,8\n")
    (tmp_path / "ragged.csv").write_text("entropy,margin\n1,2\n3\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "long.csv").write_text("entropy\n" + "1" * 200_000)
    (tmp_path / "latin.txt").write_bytes("é".encode("latin-1"))
    (tmp_path / "ids.txt").write_text("cat-1\ncat-2\ndog-1\ndog-2\n")
    (tmp_path / "twice.txt").write_text("a\nb\na\nd\n")
    (tmp_path / "few.txt").write_text("a\nb\n")
    (tmp_path / "folder.npy").mkdir()
    pa.parquet.write_table(pa.table({"entropy": [1.0] * 4}), tmp_path / "scores.parquet")
    for name in ("p.npy", "scores.npz", "scores.parquet"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / f"cut-{name}").write_bytes(whole[: len(whole) * 2 // 3])
    (tmp_path / "nothing.npy").write_bytes(b"")
    (tmp_path / "zipped.npy").write_bytes((tmp_path / "scores.npz").read_bytes())
    (tmp_path / "plain.npz").write_bytes((tmp_path / "u.npy").read_bytes())
    np.save(tmp_path / "object.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "object.npz", x=np.array([{}, 1], dtype=object))
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps([1, 2]))
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps([1, 2]))
    return tmp_path


def write(folder, **parts):
    """Write a problem file with some parts changed and return its path."""
    path = folder / "problem.toml"
    path.write_text("\n".join({**PLAIN, **parts}.values()))
    return path


def data(line, probs='probs = "p.npy"', utility='utility = "u.npy"'):
    """Return a [data] table with one more line, or another array."""
    return "\n".join(["[data]", probs, utility, line])


def test_the_plain_file_is_fine(folder):
    """Every refusal below could be for another reason than the one it names."""
    assert load(write(folder)).budget == 2


TEXTS = [
    (
        {"head": ""},
        "labelcut: this version reads format 1; got None; write 'labelcut = 1' at the t",
    ),
    (
        {"head": "labelcut = 2"},
        "labelcut: this version reads format 1; got 2; .*or upgrade labelcut",
    ),
    ({"head": 'labelcut = "1"'}, "labelcut: this version reads format 1; got '1'"),
    ({"head": "labelcut = 1\nsolv = 3"}, "top level: unknown key 'solv'; did you mean 'solve'"),
    ({"head": "labelcut = "}, "is no TOML: .*line 1.*; mend the line"),
    ({"problem": ""}, r"\[problem\]: the table is missing; add it"),
    ({"data": ""}, r"\[data\]: the table is missing; add it"),
    ({"data": "", "head": "labelcut = 1\ndata = 3"}, r"\[data\]: must be a table; got 3"),
    (
        {"problem": "[problem]\nbudget = 2"},
        r"\[problem\] kind: must be one of class-bal.*; got None",
    ),
    (
        {"problem": '[problem]\nkind = "class-balance"\nbudget = 2'},
        r"\[problem\] kind: must be one of class-balanced.*; got 'class-balance'",
    ),
    ({"problem": '[problem]\nkind = ["class-balanced"]'}, r"kind: must be one of .* got \['class-"),
    ({"problem": '[problem]\nkind = "class-balanced"'}, r"\[problem\] budget: is missing; say how"),
    (
        {"problem": PLAIN["problem"] + "\nbalence = 2"},
        r"\[problem\]: unknown key 'balence'; did you"
        " mean 'balance'",
    ),
    (
        {"problem": '[problem]\nkind = "class-balanced"\nbudget = 2.5'},
        r"\[problem\] budget: must be "
        r"int; got 2\.5",
    ),
    (
        {"problem": '[problem]\nkind = "class-balanced"\nbudget = true'},
        r"budget: must be int; got T",
    ),
    (
        {"problem": '[problem]\nkind = "class-balanced"\nbudget = 9'},
        "budget: 9 rows asked for, 4 can be chosen",
    ),
    ({"problem": PLAIN["problem"] + '\nbalance = "1"'}, r"balance: must be float or int; got '1'"),
    (
        {"problem": PLAIN["problem"] + '\ntarget = "papper"'},
        "target: must be 'paper', 'fill' or an ",
    ),
    (
        {"problem": PLAIN["problem"] + "\ntarget = [1, 1]", "data": data('target = "u.npy"')},
        r"target: stands in \[problem\] and in \[data\]; take one of them out",
    ),
    ({"data": '[data]\nutility = "u.npy"'}, r"\[data\] probs: is missing; name its array file"),
    ({"data": '[data]\nprobs = "p.npy"'}, r"\[data\] utility: is missing; name its array file"),
    ({"data": data('utlity = "u.npy"')}, r"\[data\]: unknown key 'utlity'; did you mean 'utility'"),
    (
        {"data": data("zzz = 1")},
        r"\[data\]: unknown key 'zzz'; known are candidates, ground_cost, ids, l",
    ),
    ({"data": data("truth = [0, 1]")}, "truth: must hold one class for each of 4 rows; got shape"),
    ({"data": data("truth = [0, 1, 0.5, 1]")}, r"truth: must be whole numbers; got 0\.5"),
    ({"data": data("labeled = [4]")}, r"labeled: rows must lie in 0\.\.3; got 4"),
    ({"data": data("labeled = [[1], [2, 3]]")}, "labeled: every row must have the same length"),
    (
        {"data": data("labeled = [1]")},
        "target: 'paper' needs the classes of the 1 labeled rows; pass",
    ),
    ({"data": data("labeled = [1]\nlabeled_classes = [2]")}, r"classes must lie in 0\.\.1; got 2"),
    ({"data": data("labeled = 3")}, r"labeled: must name an array file such as .*; got 3"),
    ({"data": data('ids = "twice.txt"')}, "ids: must be distinct; a names row 0 and 1 more; make"),
    ({"data": data('ids = "few.txt"')}, r"ids: must name each of 4 rows once; got shape \(2,\)"),
    (
        {"data": data('labeled = { ids = ["a"] }')},
        r"labeled: rows are given by ids, but \[data\] h",
    ),
    (
        {"data": data('ids = "ids.txt"\nlabeled = { ids = ["cat-11"] }')},
        "labeled: no row has the id 'cat-11'; did you mean 'cat-1'",
    ),
    (
        {"data": data('ids = "ids.txt"\nlabeled = { ids = ["cat-1", "cat-1"] }')},
        "labeled: rows must be distinct; row 0 comes twice; drop one",
    ),
    (
        {"data": data('labeled = { idz = "ids.txt" }')},
        "labeled: unknown key 'idz'; did you mean 'ids",
    ),
    (
        {"data": data("", utility='utility = { file = "u.npy", kee = "x" }')},
        "utility: unknown key 'kee'; did you mean 'key'",
    ),
    (
        {"data": data("", utility='utility = { file = "scores.npz", key = 3 }')},
        r"utility: must name an array file such as 'scores\.npz#entropy', or .* got \{'file'",
    ),
    ({"data": data('table = "u.npy"')}, r"\[table\]: must be a table; got 'u\.npy'"),
    (
        {"data": data("[data.table]\ntop = [1]")},
        "table: column 'top' must have one value for each o",
    ),
    (
        {"rest": '[[constraint]]\nkind = "includ"'},
        "constraint.* kind: 'includ' is unknown; did you mean 'include'",
    ),
    (
        {"rest": "[[constraint]]\nrows = [1]"},
        "constraint.* kind: 'None' is unknown; one of cost",
    ),
    (
        {"rest": '[[constraint]]\nkind = "forbid"\nrow = [1]'},
        r"\[\[constraint\]\] forbid: unknown key 'row'; did you mean 'rows'",
    ),
    (
        {"rest": '[[constraint]]\nkind = "forbid"'},
        "constraint.* forbid: rows is missing; add it",
    ),
    ({"rest": '[[constraint]]\nkind = "forbid"\nrows = [9]'}, r"Forbid: rows must lie in 0\.\.3"),
    (
        {"rest": '[constraint]\nkind = "forbid"'},
        r"\[\[constraint\]\]: needs two brackets, one table",
    ),
    ({"head": "labelcut = 1\nconstraint = [1]"}, r"\[\[constraint\]\]: needs two brackets"),
    (
        {"rest": "[solve]\ntime_limt = 3"},
        r"\[solve\]: unknown key 'time_limt'; did you mean 'time_l",
    ),
    ({"rest": '[solve]\ntime_limit = "3"'}, r"\[solve\] time_limit: must be float or int; got '3'"),
    ({"head": "labelcut = 1\nsolve = 3"}, r"\[solve\]: must be a table; got 3"),
]


@pytest.mark.parametrize(("parts", "message"), TEXTS, ids=range(len(TEXTS)))
def test_bad_texts_are_one_clear_error(folder, parts, message):
    """A typing mistake would be ignored, or end in a traceback."""
    with pytest.raises(InvalidInput, match=rf"^problem\.toml: .*{message}"):
        read_problem(write(folder, **parts))


SOURCES = [
    ("logits.npy", r"row 0 holds -2\.3, probabilities must not be negative; pass softmax outputs"),
    ("half.npy", "float16 is too coarse for probabilities; compute softmax in float32"),
    ("logit.npy", r"logit\.npy does not exist; did you mean logits\.npy"),
    ("q/p.npy", r"q.p\.npy does not exist; check the path"),
    ("wwwwwww.npy", r"wwwwwww\.npy does not exist; check the path"),
    ("p.mat", r"p\.mat is no array file; use one of \.npy, \.npz, \.csv, \.parquet, \.txt"),
    ("folder.npy", r"folder\.npy is a folder; give a file in it"),
    ("p.npy#x", r"p\.npy holds one array; take '#x' off"),
    ("scores.npz", r"scores\.npz holds several; name one as scores\.npz#array; it has: entropy, m"),
    ("scores.npz#entrpy", r"scores\.npz has no array 'entrpy'; did you mean 'entropy'"),
    ("scores.npz#x", r"scores\.npz has no array 'x'; it has: entropy, margin"),
    ("scores.csv#margn", r"scores\.csv has no column 'margn'; did you mean 'margin'"),
    ("scores.parquet#entrpy", r"scores\.parquet has no column 'entrpy'; did you mean 'entropy'"),
    ("ragged.csv#margin", r"ragged\.csv line 3 has 1 fields, its header has 2; mend the line"),
    ("empty.csv", r"empty\.csv is empty; write it again with a column"),
    ("long.csv", r"long\.csv cannot be read \(field larger than field limit"),
    ("latin.txt", r"latin\.txt cannot be read \('utf-8' codec can't decode"),
    ("cut-p.npy", r"cut-p\.npy cannot be read \(.*\); it may be truncated, write it again"),
    ("cut-scores.npz#entropy", r"cut-scores\.npz cannot be read \(.*\); it may be truncated"),
    ("cut-scores.parquet#entropy", r"cut-scores\.parquet cannot be read \(.*\); it may be trunc"),
    ("nothing.npy", r"nothing\.npy cannot be read \(No data left in file\); it may be truncated"),
    ("zipped.npy", r"zipped\.npy is an npz archive; rename it to \.npz"),
    ("plain.npz", r"plain\.npz is no npz archive; save it with np\.savez"),
    (
        "object.npy",
        r"object\.npy holds Python objects \(a pickle\), which are never loaded; save p",
    ),
    ("object.npz", r"object\.npz holds Python objects \(a pickle\), which are never loaded"),
    ("pickle.npy", r"pickle\.npy holds Python objects \(a pickle\), which are never loaded"),
    ("pickle.npz", r"pickle\.npz holds Python objects \(a pickle\), which are never loaded"),
    ("u.npy", r"must be two-dimensional \(rows, columns\); got shape \(4,\)"),
    ("ids.txt", "must be real numbers; got str"),
]


@pytest.mark.parametrize(("source", "message"), SOURCES, ids=[source for source, _ in SOURCES])
def test_bad_array_files_are_one_clear_error(folder, source, message):
    """A broken or misnamed file would be read as something else, or end in a traceback."""
    path = write(folder, data=data("", probs=f'probs = "{source}"'))
    with pytest.raises(InvalidInput, match=rf"^problem\.toml: probs: .*{message}"):
        read_problem(path)


def test_pickles_are_never_run(folder):
    """A problem file from a stranger could run any code."""
    mark = folder / "ran"

    class Trap:
        def __reduce__(self):
            return (open, (str(mark), "w"))

    np.save(folder / "trap.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    np.savez(folder / "trap.npz", x=np.array([Trap()], dtype=object))
    (folder / "bare.npy").write_bytes(pickle.dumps(Trap()))
    for source in ("trap.npy", "trap.npz", "bare.npy"):
        path = write(folder, data=data("", probs=f'probs = "{source}"'))
        with pytest.raises(InvalidInput, match="never loaded"):
            read_problem(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("problm.toml", r"problem file: .*problm\.toml does not exist; did you mean problem\.toml"),
        ("folder.toml", r"problem file: .*folder\.toml is a folder; give a file in it"),
        ("solution.jsn", r"must be a problem \(\.toml\) or a solution \(\.json\); name one"),
        ("folder", r"must be a problem \(\.toml\) or a solution"),
        ("latin.toml", r"latin\.toml: is no TOML: 'utf-8' codec can't decode"),
        ("soluton.json", r"solution: .*soluton\.json does not exist; did you mean solution\.json"),
    ],
)
def test_bad_names_are_refused(folder, name, message):
    """A mistyped name would end in a traceback."""
    write(folder)
    (folder / "folder.toml").mkdir()
    (folder / "solution.json").write_text("{}")
    (folder / "latin.toml").write_bytes("# é".encode("latin-1"))
    with pytest.raises(InvalidInput, match=message):
        load(folder / name)


def test_a_file_without_permission_is_one_clear_error(folder, monkeypatch):
    """A colleague's private file would end in a traceback."""
    path = write(folder)

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(InvalidInput, match=r"problem\.toml: cannot be read \(Permission denied\)"):
        load(path)


def test_problems_are_saved_under_a_toml_name_only(tmp_path):
    """A problem saved as p.json would be read back as a solution."""
    with pytest.raises(InvalidInput, match=r"path: a problem file ends in \.toml; got p\.json"):
        ClassBalanced([[1.0]], [1], 1).save(tmp_path / "p.json")
    assert list(tmp_path.iterdir()) == []
