"""Pictures of budgeted selection show what the choices are."""

import numpy as np
import pytest

from labelcut import (
    BudgetedSelection,
    Cost,
    ExpectedCount,
    GroupLimit,
    Include,
    Spacing,
    solve,
)
from labelcut.studies.budgeted_pictures import limit_shares

VIDEO = ["a", "a", "a", "b", "b", "c"]
PROBS = np.tile([[0.75, 0.25], [0.5, 0.5]], (3, 1))


def state(*rules, budget=3):
    """Return six frames of three videos; the last is labeled."""
    utility = [5.0, 1.0, 4.0, 3.0, 2.0, 9.0]
    return BudgetedSelection(utility, budget, labeled=[5], constraints=rules)


def answers(problem, *methods):
    """Solve in this process."""
    return {name: solve(problem, name) for name in methods}


def test_gains_add_up_to_the_objective(drawn):
    """A curve would end at another utility than the choice has."""
    problem = state(Include([1]))
    axis = drawn(problem, answers(problem, "exact", "top")).axes[0]
    ends = [line.get_ydata()[-1] for line in axis.get_lines()]
    # No limits: rows 0, 2 and 3; with row 1 in, rows 0, 2 and 1; each choice a line and its end.
    assert ends[:5] == [12.0, 10.0, 10.0, 10.0, 10.0]
    assert axis.get_lines()[5].get_label() == "proven bound"
    assert ends[5] == pytest.approx(10.0, abs=1e-3)


def test_panels_are_those_that_the_constraints_call_for(drawn):
    """A panel would be empty, or a constraint not drawn."""
    spacing, cap = Spacing(VIDEO, range(6), 1), GroupLimit(VIDEO, at_most=1)
    for rules, panels in (([], 1), ([Include([0])], 1), ([cap], 2), ([spacing], 2)):
        problem = state(*rules, budget=2)
        assert len(drawn(problem, answers(problem, "top")).axes) == panels
    problem = state(cap, spacing, budget=2)
    assert len(drawn(problem, answers(problem, "top")).axes) == 3


def test_shares_of_limits_are_those_worked_out_by_hand(drawn):
    """A bar would say that a limit is used up that is not, or under another name."""
    problem = state(
        Cost([1, 1, 2, 3, 1, 9], 8, name="money"),
        GroupLimit(VIDEO, at_most={"a": 2, "b": 1}, at_least={"a": 1}),
        ExpectedCount(PROBS, [0, 1], at_most=[4, 4], at_least=[1, 0], name="classes"),
        GroupLimit(VIDEO, at_most=6),
    )
    choice = solve(problem, "exact")
    assert choice.indices.tolist() == [0, 2, 3]
    shares = {
        "money: spent": 6 / 8,
        "group-limit 2: full groups": 1.0,  # a with 2 rows and b with 1
        "group-limit 2: scarcest group": 2.0,
        "classes: class 0": 2.0,
        "classes: class 1": 1 / 4,
    }
    assert limit_shares(problem, choice) == pytest.approx(shares)
    axis = drawn(problem, {"exact": choice}).axes[1]
    labels = [label.get_text() for label in axis.get_yticklabels()]
    (bars,) = axis.containers
    assert dict(zip(labels, (bar.get_width() for bar in bars), strict=True)) == pytest.approx(
        shares
    )


def test_rows_lie_where_and_when_they_were_filmed(drawn):
    """A frame would be drawn in another video or at another time."""
    problem = state(Spacing(VIDEO, [0, 10, 20, 0, 30, 7], 5))
    axis = drawn(problem, answers(problem, "exact")).axes[1]
    levels = dict(
        zip((t.get_text() for t in axis.get_yticklabels()), axis.get_yticks(), strict=True)
    )
    lines = {line.get_label(): line for line in axis.get_lines()}
    assert lines["exact"].get_xdata().tolist() == [0, 20, 0]
    assert lines["exact"].get_ydata().round().tolist() == [levels["a"], levels["a"], levels["b"]]
    assert "labeled" in lines
    assert "c" not in levels  # nothing of it is chosen
    assert axis.get_lines()[0].get_xdata().tolist() == [0, 10, 20, 0, 30]


def test_few_sequences_are_drawn(drawn):
    """Hundreds of videos would be one grey field."""
    size = 60
    spacing = Spacing(np.arange(size) // 3, np.arange(size), 0)
    problem = BudgetedSelection(np.arange(size), 30, constraints=[spacing])
    axis = drawn(problem, answers(problem, "top", "random")).axes[1]
    assert len(axis.get_yticks()) == 8
