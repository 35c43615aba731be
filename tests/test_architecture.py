"""The house stays as it was drawn: which room may import which, and what an import costs."""

import ast
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import labelcut

ROOT = Path(__file__).parents[1]
BELOW = {
    "problems": set(),
    "models": set(),
    "solvers": {"problems"},
    "studies": {"solvers", "problems", "models"},
    "cli": {"studies", "solvers", "problems", "models"},
}
HEAVY = {
    "cv2",
    "cvxpy",
    "matplotlib",
    "maxflow",
    "networkx",
    "numba",
    "ortools",
    "scipy.optimize",
    "scipy.spatial",
    "torch",
}


def modules(room):
    """Return the files of one room."""
    return sorted((ROOT / room).rglob("*.py"))


def imported(path):
    """Return what a file imports, as absolute names, wherever in the file it does so."""
    package = ["labelcut", *path.relative_to(ROOT).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            base = [*base, *([node.module] if node.module else [])]
            yield from (".".join([*base, alias.name]) for alias in node.names)


@pytest.mark.parametrize("room", BELOW)
def test_rooms_import_only_rooms_below(room):
    """A change in one room would break another that has nothing to do with it."""
    known = {*BELOW, "__main__"}
    for path in modules(room):
        for name in imported(path):
            first, _, rest = name.partition(".")
            if first != "labelcut":
                continue
            other = rest.partition(".")[0]
            assert other in known, f"{path.relative_to(ROOT)} imports {name}, not from its room"
            assert other in BELOW[room] | {room}, f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("room", BELOW)
def test_rooms_import_each_other_relatively(room):
    """The package would find another installed copy of itself."""
    for path in modules(room):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            assert not any(name.partition(".")[0] == "labelcut" for name in names), path


def test_models_stay_clear_of_problems_and_problems_of_torch():
    """Scores and problems meet as plain arrays; torch in problems would cost every import."""
    for path in modules("problems"):
        assert not {name.partition(".")[0] for name in imported(path)} & {"torch", "ortools"}


def test_the_root_holds_only_the_front_door():
    """The root is the package: any other module there would be installed as part of it."""
    found = {path.name for path in ROOT.glob("*.py")}
    assert "__init__.py" in found
    assert found <= {"__init__.py", "__main__.py"}


def test_every_folder_of_the_package_is_installed():
    """A new folder would work in the checkout and be missing for everybody else."""
    if not (ROOT / "pyproject.toml").exists():
        pytest.skip("an installed package has no pyproject.toml")
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    inits = [path.parent for room in BELOW for path in (ROOT / room).rglob("__init__.py")]
    folders = {".".join(["labelcut", *path.relative_to(ROOT).parts]) for path in inits}
    assert set(listed["tool"]["setuptools"]["packages"]) == {"labelcut", *folders}
    for room in BELOW:
        for path in modules(room):
            assert (path.parent / "__init__.py").exists(), path


@pytest.mark.parametrize(
    "command",
    [
        ["-c", "import labelcut; dir(labelcut); print(labelcut.__doc__)"],
        ["-c", "import labelcut; labelcut.ClassBalanced([[1.0]], [1.0], 1).fingerprint"],
        ["-m", "labelcut", "--help"],
    ],
    ids=["import", "a problem", "help"],
)
def test_light_things_load_nothing_heavy(command):
    """`labelcut --help` would take seconds, and a small script the memory of torch."""
    if command[:2] == ["-m", "labelcut"] and not (ROOT / "__main__.py").exists():
        pytest.skip("there is no command line yet")
    run = subprocess.run(
        [sys.executable, "-W", "error", "-X", "importtime", *command],
        check=True,
        capture_output=True,
        text=True,
    )
    lines = [line.rpartition("|")[2].strip() for line in run.stderr.splitlines()]
    assert "labelcut" in lines
    assert not {name for name in lines if any(f"{name}.".startswith(f"{h}.") for h in HEAVY)}


def test_public_names_are_sorted_and_lead_somewhere():
    """A name in the documentation would be an AttributeError."""
    assert list(labelcut.__all__) == sorted(labelcut.__all__)
    for name in labelcut.__all__:
        assert getattr(labelcut, name) is not None
        assert name in dir(labelcut)


def test_rooms_export_what_they_list():
    """`from labelcut.problems import ...` would promise a name that is not there."""
    for room in BELOW:
        module = importlib.import_module(f"labelcut.{room}")
        assert list(module.__all__) == sorted(module.__all__)
        assert all(hasattr(module, name) for name in module.__all__)


def test_an_unknown_name_is_an_attribute_error():
    """`hasattr` and misspelled imports would end in another error than Python's."""
    with pytest.raises(AttributeError, match="module 'labelcut' has no attribute 'sovle'"):
        labelcut.sovle
