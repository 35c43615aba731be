"""Tables for people: a problem, its methods, a solution, a comparison."""

from __future__ import annotations

from math import floor, log10
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from ..problems.base import StoppedBy
from ..problems.contradictions import fewest_rows, is_contradictory, most_rows
from ..solvers import methods
from .metrics import predicted_l1, true_l1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..problems.arrays import Floats, Ints
    from ..problems.calibration import Reliability
    from ..problems.class_balanced import ClassBalanced
    from ..problems.selection import Selection, SelectionProblem
    from .comparing import Comparison
    from .trade_off import Frontier

MANY_CLASSES = 20
"""Class tables list this many classes, the ones farthest from their target."""
FEW_ROWS = 4
"""An answer names this many of its rows."""
WHY = {
    StoppedBy.GAP: "gap closed",
    StoppedBy.EXHAUSTED: "nothing left to do",
    StoppedBy.TIME: "time limit",
    StoppedBy.INTERRUPT: "Ctrl-C",
}
"""Why a run ended, in words."""
LARGE_SHARE = 100.0
"""Of shares beyond this, percentages only say that they are."""


def comparison_table(comparison: Comparison, name: str) -> Table:
    """Return one row a method, measured against the best proven bound."""
    problem = comparison.problem
    bound = "no proven bound"
    if comparison.bound is not None:
        bound = f"best bound {comparison.bound:.6g} ({comparison.bound_from})"
    title = (
        f"{name}   {problem.kind} ({problem.sense})   {len(problem.candidates):,} candidates   "
        f"budget {_budget(problem)}   {bound}"
    )
    head = Text(title, no_wrap=True, overflow="ignore")  # it may be wider than the columns
    table = Table(title=head, title_justify="left", title_style="", box=None, pad_edge=False)
    table.add_column("method")
    rows = comparison.rows()
    columns: dict[str, tuple[str, Callable[[float], str]]] = {
        "objective": ("objective", _decimals([row["objective"] for row in rows], 6)),
        "bound": ("bound", _decimals([row["bound"] for row in rows], 6)),
        "to bound": ("to_bound", _percent(2)),
        f"of {problem.baseline_method}'s gap": ("of_baseline", _percent(1)),
    }
    for name in problem.term_names:
        columns[name] = (name, _decimals([row[name] for row in rows], 5))
    if problem.class_balance is not None:
        columns["L1 predicted"] = ("l1_predicted", "{:.3f}".format)
        columns["L1 true"] = ("l1_true", "{:.3f}".format)
    columns["s"] = ("seconds", "{:.2f}".format)
    columns["MB"] = ("megabytes", "{:,.0f}".format)
    for column in columns:
        table.add_column(column, justify="right")
    table.add_column("status")
    for row in rows:
        label = f"{row['method']} x{row['seeds']}" if row["seeds"] > 1 else row["method"]
        numbers = ["-" if row[key] is None else text(row[key]) for key, text in columns.values()]
        table.add_row(label, *numbers, row["status"])
    return table


def programs_table(comparison: Comparison) -> Table | None:
    """Return predicted and true balance of the paper's program and the corrected one, or None."""
    rows = comparison.programs()
    if comparison.paper is None:
        return None
    method = comparison.paper.method
    table = Table(box=None, pad_edge=False)
    table.add_column("program")
    for column in ("L1 predicted", "L1 true", "utility", "of the paper's"):
        table.add_column(column, justify="right")
    for row in rows:
        values = [row[key] for key in ("l1_predicted", "l1_true", "utility", "utility_share")]
        texts = ["{:.3f}", "{:.3f}", "{:.5g}", "{:.0%}"]
        numbers = [
            "-" if value is None else text.format(value)
            for value, text in zip(values, texts, strict=True)
        ]
        table.add_row(f"{row['method'] or method}, {row['program']}", *numbers)
    return table


def comparison_notes(comparison: Comparison) -> list[str]:
    """Return why methods have no answer, each reason once, and whether Ctrl-C cut it short."""
    methods_by_reason: dict[str, list[str]] = {}
    for row in comparison.rows():
        if row["reason"]:
            methods_by_reason.setdefault(row["reason"], []).append(row["method"])
    notes = [f"{', '.join(names)}: {reason}" for reason, names in methods_by_reason.items()]
    if comparison.in_process:
        notes.append(
            "a function of distances stays in its process: all ran in this one, MB unknown"
        )
    if comparison.interrupted:
        notes.append("Ctrl-C: methods that are not listed had not finished")
    return notes


def frontier_table(frontier: Frontier, name: str) -> Table:
    """Return one row a λ: what it gives, and the most that any selection could."""
    table = Table(title=name, title_justify="left", title_style="", box=None, pad_edge=False)
    for column in ("λ", "utility", "at most", "imbalance", "relaxed", "objective", "bound"):
        table.add_column(column, justify="right")
    for point in frontier.points:
        numbers = (
            point.utility,
            point.utility_bound,
            point.imbalance,
            point.relaxed_imbalance,
            point.objective,
            point.bound,
        )
        table.add_row(f"{point.balance:.4g}", *(f"{number:.4f}" for number in numbers))
    return table


def problem_table(problem: SelectionProblem) -> Table:
    """Return what a problem is: its sizes, and what each constraint leaves selectable."""
    table = _pairs()
    labeled = f"{len(problem.labeled):,} labeled, {len(problem.candidates):,} candidates"
    table.add_row("rows", f"{problem.dataset.size:,} ({labeled})")
    table.add_row("budget", _budget(problem))
    for name, value in problem.facts().items():
        listed = value if isinstance(value, list) else [value]
        table.add_row(name, " x ".join(f"{v:,}" if isinstance(v, int) else str(v) for v in listed))
    if problem.class_balance is not None:
        _add_balance(table, problem.class_balance)
    _add_correction(table, problem)
    for limit in constraint_facts(problem):
        table.add_row(limit["title"], _limit_in_words(limit))
    table.add_row("selectable", f"{len(problem.selectable):,}")
    reason = problem.why_infeasible()
    if reason is None and is_contradictory(problem.constraints, problem.budget, problem.dataset):
        reason = "the constraints contradict each other; solve tells which"
    if reason is not None:
        table.add_row("infeasible", reason)
    table.add_row("fingerprint", problem.fingerprint)
    return table


def constraint_facts(problem: SelectionProblem) -> list[dict[str, Any]]:
    """Return what each constraint asks for and what it leaves, in JSON's types.

    ``selectable`` is how many candidates it does not forbid outright, ``at_most`` and ``at_least``
    bound by counting how many of them it lets be chosen together, ``forced`` how many it forces in.
    """
    dataset, facts = problem.dataset, []
    for rule in problem.constraints:
        shut = rule.forbidden(dataset)
        facts.append(
            {
                "kind": rule.kind,
                "name": rule.name,
                "title": rule.title,
                "asks": rule.describe(),
                "selectable": len(dataset.candidates) - int(dataset.is_candidate[shut].sum()),
                "at_most": most_rows([rule], dataset),
                "at_least": fewest_rows([rule]),
                "forced": len(rule.included(dataset)),
            }
        )
    return facts


def _limit_in_words(limit: Mapping[str, Any]) -> str:
    words = f"{limit['asks']}; leaves {limit['selectable']:,} selectable"
    if limit["at_most"] < limit["selectable"]:
        words += f", {limit['at_most']:,} of them together at most"
    if limit["at_least"]:
        words += f", {limit['at_least']:,} needed"
    return words


def _budget(problem: SelectionProblem) -> str:
    return "open" if problem.budget is None else f"{problem.budget:,}"


def _add_balance(table: Table, problem: ClassBalanced) -> None:
    table.add_row("balance λ", f"{problem.balance:g} ({problem.distance})")
    table.add_row("classes", f"{problem.n_classes:,}")
    unreachable = (
        f", so every choice has an imbalance of {problem.unreachable:.4g} at least"
        if problem.unreachable
        else ""
    )
    table.add_row("target Ω", f"sums to {problem.target.sum():.6g}{unreachable}")


def _add_correction(table: Table, problem: SelectionProblem) -> None:
    probs = problem.class_probs
    if probs is None or probs.origin is None:
        return
    outcome = probs.origin.outcome
    table.add_row("corrected", outcome.summary())
    for note in outcome.notes:
        table.add_row("", note)


def reliability_table(curves: Mapping[str, Reliability]) -> Table:
    """Return expected calibration errors, one row a curve."""
    table = Table(box=None, pad_edge=False)
    for column in ("calibration", "ECE", "confidence", "accuracy", "rows"):
        table.add_column(column, justify="left" if column == "calibration" else "right")
    for name, curve in curves.items():
        share = curve.counts / curve.counts.sum()
        means = (curve.error, share @ curve.confidence, share @ curve.accuracy)
        table.add_row(name, *(f"{mean:.3f}" for mean in means), f"{curve.counts.sum():,}")
    return table


def methods_table(problem: SelectionProblem) -> Table:
    """Return which methods apply, what they prove, and their forecast of memory."""
    table = Table(box=None, pad_edge=False)
    for column in ("method", "what it does", "bound", "forecast", "applies"):
        table.add_column(column, justify="right" if column == "forecast" else "left")
    for info in methods(problem):
        proves = "proves one" if info.proves_bound else "none"
        applies = info.refusal or "yes"
        table.add_row(info.name, info.about, proves, f"{info.memory / 1e6:,.0f} MB", applies)
    return table


def solution_table(problem: SelectionProblem, solution: Selection, truth: Ints | None) -> Table:
    """Return an answer in a few lines, balance of predictions and of true labels apart."""
    table = _pairs()
    table.add_row("method", f"{solution.method} (seed {solution.seed})")
    table.add_row("status", f"{solution.status} ({WHY[solution.stopped_by]})")
    if solution.reason:
        table.add_row("reason", solution.reason)
    if solution.objective is not None:
        table.add_row("rows", _rows(solution))
        table.add_row("objective", f"{solution.objective:.6g} ({solution.sense})")
    table.add_row("bound", _bound(solution))
    if solution.objective is not None:
        for name, value in solution.terms.items():
            table.add_row(name, f"{value:.6g}")
        balanced = problem.class_balance
        if balanced is not None:
            predicted = predicted_l1(balanced.probs, solution.indices)
            table.add_row("L1 predicted", f"{predicted:.4f}")
        true = true_l1(problem, solution, truth)
        if true is not None:
            table.add_row("L1 true", f"{true:.4f}")
    table.add_row("seconds", f"{solution.runtime:.2f}")
    if "auto" in solution.info:
        table.add_row("why", str(solution.info["auto"]))
    return table


def _bound(solution: Selection) -> str:
    if solution.bound is None:
        return "none proven"
    gap = "" if solution.gap is None else f", gap {_percent(3)(solution.gap)}"
    return f"{solution.bound:.6g}{gap}"


def _rows(solution: Selection) -> str:
    names = solution.indices if solution.ids is None else solution.ids
    first = ", ".join(str(name) for name in names[:FEW_ROWS])
    return f"{len(names):,} ({first}{', …' if len(names) > FEW_ROWS else ''})"


def classes_table(problem: ClassBalanced, solution: Selection, truth: Ints | None) -> Table:
    """Return each class: wanted, expected of the choice, and true where it is known."""
    table = Table(box=None, pad_edge=False)
    expected = problem.probs.total(solution.indices)
    counts = (
        None if true_l1(problem, solution, truth) is None else _counts(problem, solution, truth)
    )
    for column in ("class", "target Ω", "predicted", *(["true"] if counts is not None else [])):
        table.add_column(column, justify="right")
    for k in _farthest(problem.target, expected):
        known = [f"{counts[k]}"] if counts is not None else []
        table.add_row(str(k), f"{problem.target[k]:.2f}", f"{expected[k]:.2f}", *known)
    if table.row_count < problem.n_classes:
        table.title = f"worst {table.row_count} of {problem.n_classes:,} classes"
        table.title_justify, table.title_style = "left", ""
    return table


def _counts(problem: ClassBalanced, solution: Selection, truth: Ints | None) -> Any:
    from numpy import bincount

    assert truth is not None
    return bincount(truth[solution.indices], minlength=problem.n_classes)


def _farthest(target: Floats, expected: Floats) -> Iterable[int]:
    if len(target) <= MANY_CLASSES:
        return range(len(target))
    farthest = abs(target - expected).argsort()[::-1][:MANY_CLASSES]
    return sorted(int(k) for k in farthest)


def _pairs() -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    return table


def _decimals(values: Iterable[float | None], digits: int) -> Callable[[float], str]:
    """Return how to write a column: so many digits for its largest number, the points aligned."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    places = digits - 1 - floor(log10(largest)) if largest > 0 else 3
    if -6 <= places <= 9:
        return f"{{:.{max(places, 0)}f}}".format
    return f"{{:.{digits}g}}".format


def _percent(places: int) -> Callable[[float], str]:
    def text(share: float) -> str:
        return f">{LARGE_SHARE:,.0%}" if share > LARGE_SHARE else f"{share:.{places}%}"

    return text
