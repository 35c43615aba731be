"""Help, the version, and how little is imported for them."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest

HEAVY = [
    *("torch", "cvxpy", "matplotlib", "scipy.optimize", "scipy.spatial", "scipy.sparse"),
    *("sklearn", "highspy", "pandas", "ortools", "networkx"),
]

WITHOUT_HEAVY = """
import sys
import labelcut.cli
sys.argv = ["labelcut", *{arguments!r}]
try:
    labelcut.cli.main()
except SystemExit as end:
    code = end.code
print("loaded", sorted(set(sys.modules) & set({heavy!r})), "code", code, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [["--help"], *([name, "--help"] for name in ("solve", "compare", "check", "show"))],
    ids=" ".join,
)
def test_help_loads_nothing_heavy(arguments):
    """Asking for help would take seconds, or fail where a heavy library is broken."""
    script = WITHOUT_HEAVY.format(arguments=arguments, heavy=HEAVY)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "loaded [] code 0" in run.stderr
    assert "Usage: labelcut" in run.stdout


def test_cheap_methods_load_nothing_heavy(two_classes):
    """Every small question to the command line would wait for libraries it does not use."""
    arguments = ["solve", str(two_classes), "--method", "greedy"]
    script = WITHOUT_HEAVY.format(arguments=arguments, heavy=HEAVY)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "loaded [] code 0" in run.stderr, run.stderr


def test_help_names_every_command_and_option(labelcut):
    """A user could not find a command or an option without reading the code."""
    main = labelcut("--help").out
    assert all(name in main for name in ("solve", "compare", "check", "show", "--version"))
    solve = labelcut("solve", "--help").out
    options = ("--method", "--time-limit", "--gap-tol", "--seed", "--option", "--out", "--json")
    assert all(option in solve for option in options)
    compare = labelcut("compare", "--help").out
    assert all(option in compare for option in ("--seeds", "--plot", "--time-limit", "--json"))


def test_version_is_the_installed_one(command):
    """A bug report would name a version that is not the one that ran."""
    try:
        installed = version("labelcut")
    except PackageNotFoundError:
        pytest.skip("labelcut is on the path, but not installed")
    result = command("--version")
    assert (result.code, result.out.strip()) == (0, f"labelcut {installed}")


@pytest.mark.parametrize("width", [40, 80])
def test_narrow_terminals_lose_no_number(labelcut, two_classes, monkeypatch, width):
    """A terminal of ordinary width would show cut numbers in place of results."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    shown = labelcut("compare", two_classes, "--method", "top").err
    assert "…" not in shown
    assert "0.30000" in shown
