"""Checking somebody else's answer: every claim that was tampered with is found."""

import json
from dataclasses import replace

import numpy as np
import pytest

from labelcut import (
    BudgetedSelection,
    CheckFailed,
    ClassBalanced,
    Forbid,
    GroupLimit,
    Include,
    InfeasibleSelection,
    InvalidInput,
    Selection,
    check,
    load,
    solve,
)
from labelcut.problems import Certificate, Sense, Status, StoppedBy

RNG = np.random.default_rng(5)
PROBS = RNG.dirichlet([0.7] * 3, size=8)
UTILITY = RNG.uniform(size=8)
MULTIPLIERS = [0.2, -0.1, 0.05]


def state(**changes):
    """Return a problem with labeled rows, ids, a table and a constraint."""
    arguments = {
        "target": [1.5, 1.0, 0.5],
        "labeled": [7],
        "constraints": [Forbid([6])],
        "ids": list("abcdefgh"),
        "table": {"image": list("ABCDEFGH"), "top": np.arange(8.0)},
    }
    return ClassBalanced(PROBS, UTILITY, 3, **{**arguments, **changes})


PROBLEM = state()


def answer(problem=PROBLEM, rows=(1, 3, 4)):
    """Return an honest answer, stated without a solver."""
    rows = np.array(rows)
    evaluation = problem.evaluate(rows)
    bound = problem.lower_bound(np.array(MULTIPLIERS))
    return Selection(
        sense=Sense.MIN,
        objective=evaluation.objective,
        bound=bound,
        status=Status.FEASIBLE,
        stopped_by=StoppedBy.EXHAUSTED,
        terms=evaluation.terms,
        certificate=Certificate("multipliers", True, bound, {"multipliers": MULTIPLIERS}),
        method="by hand",
        fingerprint=problem.fingerprint,
        indices=rows,
        order=rows[::-1],
        ids=None if problem.ids is None else problem.ids[rows],
        table={name: column[rows] for name, column in problem.table.items()},
    )


HONEST = answer()


def test_an_optimum_that_is_only_claimed_is_not_believed():
    """Anybody could write "optimal" over an answer with a gap, or without any bound."""
    weak = replace(answer(), status=Status.OPTIMAL)
    assert weak.gap > 1e-3
    assert not check(PROBLEM, weak).status_rechecked
    with pytest.raises(CheckFailed, match="optimal is claimed without a bound"):
        check(PROBLEM, replace(weak, bound=None, certificate=None))
    easy = BudgetedSelection([3.0, 2.0, 1.0], 2)
    assert check(easy, solve(easy, "exact")).status_rechecked


def test_an_honest_answer_passes(best):
    """Nobody could check anything."""
    report = check(PROBLEM, HONEST)
    assert report.rows == 3
    assert report.objective == HONEST.objective
    assert report.bound == HONEST.bound
    assert report.proven == HONEST.bound
    assert report.bound_rechecked
    optimum = best(PROBS, UTILITY, [1.5, 1.0, 0.5], 1.0, 3, range(6))
    assert HONEST.bound <= optimum <= HONEST.objective


def changed(array, at, value):
    """Return a copy with one value changed."""
    copy = np.array(array)
    copy[at] = value
    return copy


def with_certificate(**changes):
    """Return a change of the certificate alone."""
    return {"certificate": replace(HONEST.certificate, **changes)}


TAMPERED = {
    "fingerprint": ({"fingerprint": "0" * 32}, CheckFailed, "fingerprint: the solution answers p"),
    "another row": ({"indices": np.array([1, 3, 5])}, CheckFailed, "ids: they are not the ids of"),
    "fewer rows": ({"indices": np.array([1, 3])}, InfeasibleSelection, "budget: 2 rows are chosen"),
    "a row twice": ({"indices": np.array([1, 3, 3])}, InfeasibleSelection, "row 3 comes twice"),
    "a row outside": ({"indices": np.array([1, 3, 8])}, InfeasibleSelection, "rows must lie in 0"),
    "a labeled row": (
        {"indices": np.array([1, 3, 7])},
        InfeasibleSelection,
        r"row 7 \(id h\) is labeled already",
    ),
    "a forbidden row": (
        {"indices": np.array([1, 3, 6])},
        InfeasibleSelection,
        r"Forbid: 1 forbidden rows are chosen: row 6 \(id g\)",
    ),
    "objective": (
        {"objective": HONEST.objective - 1e-6},
        CheckFailed,
        r"objective: .* is claimed, the rows give .*; the file was changed",
    ),
    "objective, backed by a term of that name": (
        {
            "objective": -9.0,
            "bound": None,
            "terms": {**HONEST.terms, "objective": HONEST.objective},
        },
        CheckFailed,
        r"objective: -9\.0 is claimed",
    ),
    "objective not a number": ({"objective": np.nan}, CheckFailed, "objective: nan is claimed"),
    "utility": (
        {"terms": {**HONEST.terms, "utility": 9.0}},
        CheckFailed,
        r"utility: 9\.0 is claim",
    ),
    "imbalance": (
        {"terms": {**HONEST.terms, "imbalance": 0.0}},
        CheckFailed,
        r"imbalance: 0\.0 is",
    ),
    "unreachable": (
        {"terms": {**HONEST.terms, "unreachable": 0.5}},
        CheckFailed,
        r"unreachable: 0\.5 is claimed, the rows give 0\.0",
    ),
    "terms dropped": ({"terms": {}}, CheckFailed, "utility: None is claimed, the rows give"),
    "a term added": (
        {"terms": {**HONEST.terms, "radius": 1.0}},
        CheckFailed,
        "radius: 1.0 is claim",
    ),
    "ids": ({"ids": changed(HONEST.ids, 0, "z")}, CheckFailed, "ids: they are not the ids of the"),
    "ids of another type": ({"ids": np.array([1, 3, 4])}, CheckFailed, "ids: they are not the ids"),
    "table": (
        {"table": {**HONEST.table, "image": changed(HONEST.table["image"], 0, "Z")}},
        CheckFailed,
        "table: column 'image' is not that of the chosen rows",
    ),
    "order": ({"order": np.array([4, 3, 5])}, CheckFailed, "order: it does not list the chosen"),
    "order too short": ({"order": np.array([4, 3])}, CheckFailed, "order: it does not list the ch"),
    "bound, higher": (
        {"bound": HONEST.bound + 1e-6},
        CheckFailed,
        "bound: .* is claimed, the certificate proves",
    ),
    "bound above the objective": (
        {"bound": HONEST.objective + 1e-6},
        CheckFailed,
        "bound: .* is claimed, the rows do better with",
    ),
    "bound not a number": ({"bound": np.nan}, CheckFailed, "bound: nan is claimed"),
    "bound without proof": ({"certificate": None}, CheckFailed, "bound: .* without a certificate"),
    "multipliers": (
        with_certificate(values={"multipliers": [0.2, -0.1, 0.5]}),
        CheckFailed,
        "bound: .* is claimed, the certificate proves",
    ),
    "multipliers outside the ball": (
        with_certificate(values={"multipliers": [0.2, -0.1, 1.5]}),
        CheckFailed,
        "the certificate proves -",
    ),
    "multipliers not numbers": (
        with_certificate(values={"multipliers": [0.2, None, 0.05]}),
        InvalidInput,
        "certificate multipliers: must be real numbers",
    ),
    "multipliers too few": (
        with_certificate(values={"multipliers": [0.2]}),
        InvalidInput,
        "certificate multipliers: must have 3 values; got 1",
    ),
    "multipliers dropped": (
        with_certificate(values={}),
        CheckFailed,
        "the certificate proves None",
    ),
    "the certificate's own bound": (
        with_certificate(bound=0.0, recheckable=False),
        CheckFailed,
        r"bound: 0\.0 is claimed, the certificate proves",
    ),
    "sense": ({"sense": Sense.MAX}, CheckFailed, "sense: max is claimed, the problem's is min"),
    "status": ({"status": Status.UNKNOWN}, CheckFailed, "status: unknown is claimed with an objec"),
    "no objective": (
        {"objective": None},
        CheckFailed,
        "status: feasible is claimed without an obj",
    ),
    "rows without an objective": (
        {"objective": None, "status": Status.UNKNOWN},
        CheckFailed,
        "indices: rows without an objective",
    ),
    "infeasible": (
        {"objective": None, "status": Status.INFEASIBLE, "indices": np.empty(0, np.int64)},
        CheckFailed,
        "status: infeasible is claimed, the constraints do not contradict each other",
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_every_changed_claim_is_found(what):
    """A check that cannot fail would certify anything."""
    change, error, message = TAMPERED[what]
    with pytest.raises(error, match=message):
        check(PROBLEM, replace(HONEST, **change))


def test_a_changed_file_is_found(tmp_path):
    """What is checked in memory would slip through when it comes from a file."""
    HONEST.save(tmp_path / "s.json")
    content = json.loads((tmp_path / "s.json").read_text())
    assert check(PROBLEM, load(tmp_path / "s.json")).bound_rechecked
    content["certificate"]["values"]["multipliers"][0] = 1.0
    (tmp_path / "s.json").write_text(json.dumps(content))
    with pytest.raises(CheckFailed, match="the certificate proves"):
        check(PROBLEM, load(tmp_path / "s.json"))


@pytest.mark.parametrize(
    "change",
    [{"labeled": [6]}, {"target": [1, 1, 1]}, {"balance": 2.0}, {"constraints": []}],
    ids=["labeled", "target", "balance", "constraints"],
)
def test_an_answer_to_another_problem_is_refused(change):
    """Last week's answer would pass for this week's."""
    message = "fingerprint: the solution answers problem .*, this is .*; give the problem it was"
    with pytest.raises(CheckFailed, match=message):
        check(state(**change), HONEST)


def test_another_order_of_summation_is_forgiven():
    """An answer from another machine would be called tampered with."""
    nudged = HONEST.objective * (1 + 1e-13)
    assert check(PROBLEM, replace(HONEST, objective=nudged)).rows == 3
    assert check(PROBLEM, replace(HONEST, bound=HONEST.bound - 1e-3)).bound_rechecked


def test_branch_and_bound_is_reported_as_not_rechecked():
    """A bound that nobody re-proved would be reported as proven."""
    root = Certificate("branch-and-bound", False, HONEST.bound, {"multipliers": MULTIPLIERS})
    claimed = (HONEST.bound + HONEST.objective) / 2
    report = check(PROBLEM, replace(HONEST, bound=claimed, certificate=root))
    assert not report.bound_rechecked
    assert (report.bound, report.proven) == (claimed, HONEST.bound)


def test_an_answer_without_a_bound_can_be_checked():
    """Greedy answers, which prove nothing, could not be checked at all."""
    report = check(PROBLEM, replace(HONEST, bound=None, certificate=None))
    assert (report.rows, report.bound, report.proven, report.bound_rechecked) == (
        3,
        None,
        None,
        False,
    )


def test_ids_are_no_part_of_the_problem():
    """Ids that were added after solving would make the answer worthless."""
    assert check(PROBLEM, answer(state(ids=None))).rows == 3
    assert check(state(ids=None), HONEST).rows == 3


def test_an_honest_infeasible_is_confirmed():
    """A true 'nothing satisfies this' would be refused."""
    problem = state(constraints=[Include([1]), Forbid([1])])
    nothing = replace(
        HONEST,
        objective=None,
        bound=None,
        certificate=None,
        terms={},
        status=Status.INFEASIBLE,
        reason=problem.why_infeasible(),
        indices=np.empty(0, np.int64),
        order=None,
        ids=None,
        table={},
        fingerprint=problem.fingerprint,
    )
    report = check(problem, nothing)
    assert (report.rows, report.objective) == (0, None)


THREE_PAIRS = [GroupLimit(pair, at_most={1: 1}) for pair in ([1, 1, 0], [0, 1, 1], [1, 0, 1])]
"""Of each two of three rows one at most: so one in all, which no counting of groups sees."""


def nothing(problem, **changes):
    """Return the claim that nothing satisfies a problem's constraints."""
    return Selection(
        sense=problem.sense,
        objective=None,
        bound=None,
        status=Status.INFEASIBLE,
        stopped_by=StoppedBy.EXHAUSTED,
        method="by hand",
        fingerprint=problem.fingerprint,
        indices=np.empty(0, np.int64),
        **changes,
    )


def test_a_contradiction_that_counting_shows_is_confirmed():
    """A true claim would be reported as taken on trust."""
    short = GroupLimit(["a", "a", "b"], at_least={"a": 2}, at_most={"b": 0})
    problem = BudgetedSelection(np.zeros(3), 2, labeled=[0], constraints=[short])
    assert problem.why_infeasible() is None
    assert check(problem, nothing(problem)).status_rechecked


def test_prices_confirm_a_contradiction():
    """A certificate of infeasibility would be worth nothing, or any prices pass for one."""
    problem = BudgetedSelection(np.zeros(3), 2, constraints=THREE_PAIRS)
    # Half of each pair's row: z1 + z2 + z3 <= 3/2, but the budget asks for 2.
    proof = {"budget_price": -1.0, "prices": [[0.5], [0.5], [0.5]]}
    honest = Certificate("prices", True, None, proof)
    assert check(problem, nothing(problem, certificate=honest)).status_rechecked
    wrong = Certificate("prices", True, None, {**proof, "budget_price": -0.4})
    assert not check(problem, nothing(problem, certificate=wrong)).status_rechecked


def test_a_contradiction_that_nobody_can_see_is_reported_as_such():
    """A claim that was taken on trust would look verified."""
    problem = BudgetedSelection(np.zeros(3), 2, constraints=THREE_PAIRS)
    report = check(problem, nothing(problem))
    assert (report.rows, report.status_rechecked) == (0, False)


def test_a_false_contradiction_is_refuted(mixture):
    """'Nothing satisfies this' would be believed of a problem that has answers."""
    refuted = confirmed = 0
    for seed in range(150):
        drawn = mixture(seed)
        feasible = bool(drawn.feasible())
        try:
            report = check(drawn.problem, nothing(drawn.problem))
        except CheckFailed:
            refuted += 1
            assert feasible
        else:
            confirmed += report.status_rechecked
            assert not (report.status_rechecked and feasible)
    assert refuted > 40
    assert confirmed > 40
