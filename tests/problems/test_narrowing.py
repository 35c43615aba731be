"""Bounds of curved limits from any prices, against every selection of small pools."""

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from labelcut import BudgetedSelection, Cost, ExpectedCount, GroupLimit, Include, check, load, solve
from labelcut.problems.errors import CheckFailed, InfeasibleSelection, InvalidInput
from labelcut.problems.narrowing import (
    CurvedPrices,
    Narrowing,
    Step,
    curves_of,
    lines_between,
    narrowed,
    narrowed_bound,
    read_narrowing,
    weight_bound,
    widest,
)
from labelcut.problems.pricing import Prices


def drawn(rng, **limits):
    """Return a small problem with two quotas, groups and costs."""
    size = 9
    stated = limits or {"at_least": rng.uniform(0.2, 0.8, 2), "at_most": rng.uniform(2.5, 4, 2)}
    rules = [
        ExpectedCount(rng.dirichlet([0.4] * 3, size), [0, 1], confidence=0.8, **stated),
        GroupLimit(np.arange(size) % 3, at_most=3),
        Cost(rng.random(size), 3.5),
        Include([int(rng.integers(size))]),
    ]
    return BudgetedSelection(rng.normal(size=size), 4, constraints=rules)


def kept(problem):
    """Every selection that keeps all constraints."""
    for rows in combinations(range(problem.dataset.size), problem.budget):
        try:
            problem.check(np.array(rows))
        except InfeasibleSelection:
            continue
        yield np.array(rows)


def near_prices(rng, problem, size=1.0):
    """Return prices of a size, some of them 0."""

    def some(count):
        return rng.exponential(size, count) * (rng.random(count) < 0.5)

    limits = tuple(some(len(rule.linear(problem.dataset).limits)) for rule in problem.constraints)
    count = len(curves_of(problem.constraints, problem.dataset))
    prices = Prices(rng.normal(0, size), limits)
    return CurvedPrices(prices, some(count), some(count), some(count), float(some(1)[0]))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_no_prices_prove_less_than_the_best_selection(seed):
    """A certificate would prove what is not true."""
    rng = np.random.default_rng(seed)
    problem = drawn(rng)
    values = [problem.utility[rows].sum() for rows in kept(problem)]
    if not values:
        return
    count = len(curves_of(problem.constraints, problem.dataset))
    assert count == 4
    for _ in range(5):
        steps = []
        for _ in range(int(rng.integers(3))):
            ends = [
                [near_prices(rng, problem, 0.1) if rng.random() < 0.8 else None for _ in range(2)]
                for _ in range(count)
            ]
            floor = float(np.quantile(values, rng.random())) - rng.exponential(0.1)
            steps.append(Step(floor, tuple(map(tuple, ends))))
        narrowing = Narrowing(tuple(steps), near_prices(rng, problem))
        assert narrowed_bound(problem, problem.utility, narrowing) >= max(values)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_lines_lie_below_the_roots_of_every_variance_and_meet_them_at_the_ends(seed):
    """What keeps a limit would break its line."""
    problem = drawn(np.random.default_rng(seed))
    wide = widest(problem, curves_of(problem.constraints, problem.dataset))
    slopes, heights = lines_between(wide)
    for rows in kept(problem):
        for curve, slope, height in zip(wide, slopes, heights, strict=True):
            variance = curve.variances[rows].sum()
            assert curve.least <= variance <= curve.most
            assert height + slope * variance <= np.sqrt(variance) + 1e-12
    for curve, slope, height in zip(wide, slopes, heights, strict=True):
        for end in (curve.least, curve.most):
            assert height + slope * end == pytest.approx(np.sqrt(end), abs=1e-12)


@pytest.fixture(scope="module")
def solved():
    """Return a problem of which prices alone prove little, and its answer within 1 %."""
    rng = np.random.default_rng(0)
    probs = rng.dirichlet([0.2] * 6, 400)
    utility = -(probs * np.log(np.maximum(probs, 1e-12))).sum(axis=1)
    quota = ExpectedCount(probs, np.arange(6), at_least=8, confidence=0.9)
    problem = BudgetedSelection(utility, 70, constraints=[quota])
    return problem, solve(problem, "exact", gap_tol=0.01, time_limit=60)


def test_a_saved_certificate_proves_the_bound_again_without_solving(solved, tmp_path):
    """The bound of a quota with a probability would have to be believed."""
    problem, found = solved
    assert found.gap <= 0.01
    assert found.certificate.recheckable
    assert found.certificate.values["narrowing"]["steps"]
    plain = {**found.certificate.values}
    del plain["narrowing"]
    alone = problem.prove(replace(found.certificate, values=plain))
    assert alone > found.bound + 2 * (found.bound - found.objective)
    found.save(tmp_path / "s.json")
    report = check(problem, load(tmp_path / "s.json"))
    assert report.bound_rechecked
    assert report.proven == pytest.approx(found.bound, rel=1e-9)


def test_a_bound_that_the_prices_do_not_prove_is_refused(solved, tmp_path):
    """Whoever edits a file could claim any bound."""
    problem, found = solved
    found.save(tmp_path / "s.json")
    content = json.loads((tmp_path / "s.json").read_text())
    content["certificate"]["values"]["narrowing"]["last"]["lines"][0] *= 3
    (tmp_path / "t.json").write_text(json.dumps(content))
    with pytest.raises(CheckFailed, match="bound"):
        check(problem, load(tmp_path / "t.json"))


def linear_optimum(problem, weights, curves, floor):
    """Return the largest weight that the linear rows allow, by SciPy, and the prices of these."""
    slopes, heights = lines_between(curves)
    rows, limits = [], []
    for curve in curves:
        rows += [curve.variances, -curve.variances]
        limits += [curve.most, -curve.least]
    for curve, slope, height in zip(curves, slopes, heights, strict=True):
        rows.append(curve.values + curve.factor * slope * curve.variances)
        limits.append(curve.limit - curve.factor * height)
    rows.append(-problem.utility)
    limits.append(-floor)
    found = linprog(
        -weights,
        A_ub=np.array(rows),
        b_ub=limits,
        A_eq=np.ones((1, problem.dataset.size)),
        b_eq=[problem.budget],
        bounds=(0, 1),
    )
    assert found.status == 0
    duals, count = -found.ineqlin.marginals, len(curves)
    none = np.empty(0)
    prices = Prices(-found.eqlin.marginals[0], (none,))
    ranges, lines = duals[: 2 * count], duals[2 * count : -1]
    return -found.fun, CurvedPrices(prices, ranges[::2], ranges[1::2], lines, duals[-1])


@pytest.mark.parametrize("seed", [0, 1, 2, 4, 5, 6, 7, 8])
def test_the_best_prices_prove_the_linear_optimum_and_the_ends_that_it_allows(seed):
    """A range would be narrower than what is allowed, or wider than the prices say."""
    rng = np.random.default_rng(seed)
    probs, size = rng.dirichlet([0.4] * 3, 14), 14
    quota = ExpectedCount(probs, [0, 1], at_least=[1.2, 0.9], at_most=[3, 3.5], confidence=0.8)
    problem = BudgetedSelection(rng.random(size), 6, constraints=[quota])
    curves = widest(problem, curves_of(problem.constraints, problem.dataset))
    floor = float(np.sort(problem.utility)[-6:].sum()) - 1.0
    ends, expected = [], []
    for curve in curves:
        pair, wanted = [], []
        for sign in (-1.0, 1.0):
            weights = sign * curve.variances
            value, prices = linear_optimum(problem, weights, curves, floor)
            proven = weight_bound(problem, weights, curves, prices, problem.utility, floor)
            assert value - 1e-9 <= proven <= value + 1e-7
            pair.append(prices)
            wanted.append(sign * value)
        ends.append(tuple(pair))
        expected.append(wanted)
    closer, found = narrowed(problem, problem.utility, [Step(floor, tuple(ends))])
    assert found == floor
    ranges = [(curve.least, curve.most) for curve in closer]
    np.testing.assert_allclose(ranges, expected, atol=1e-6)
    assert (np.diff(ranges) < 0.8 * np.diff([(one.least, one.most) for one in curves])).any()
    for rows in kept(problem):
        if problem.utility[rows].sum() > floor:
            for curve in closer:
                assert curve.least <= curve.variances[rows].sum() <= curve.most
    inner = [
        replace(curve, least=0.5 * low + 0.5 * high, most=high)
        for curve, (low, high) in zip(closer, ranges, strict=True)
    ]
    weights = -sum(curve.variances for curve in curves)
    value, prices = linear_optimum(problem, weights, inner, floor - 1)
    assert prices.least.max() > 0.1
    proven = weight_bound(problem, weights, inner, prices, problem.utility, floor - 1)
    assert value - 1e-9 <= proven <= value + 1e-7


@pytest.mark.parametrize("priced", ["range", "utility"])
def test_a_floor_above_all_is_all_that_is_proven(priced):
    """Prices of what does not exist would prove that even the best is too good."""
    problem = drawn(np.random.default_rng(0))
    best = max(problem.utility[rows].sum() for rows in kept(problem))
    limits = tuple(np.empty(0) for _ in problem.constraints)
    steep = CurvedPrices(Prices(1e3, limits), *np.zeros((3, 4)), better=1e3)
    loose = CurvedPrices(Prices(0.0, limits), *np.zeros((3, 4)))
    ends = (None, steep) if priced == "range" else (None, None)
    last = loose if priced == "range" else steep
    floor = best + 100.0
    narrowing = Narrowing((Step(floor, (ends,) * 4),), last)
    assert narrowed_bound(problem, problem.utility, narrowing) == floor


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_prices_near_those_of_solved_problems_prove_no_less_than_their_optimum(seed):
    """Where prices are good, the smallest mistake in a line or a range cuts the optimum off."""
    rng = np.random.default_rng(seed)
    problem = drawn(rng, at_least=rng.uniform(0.2, 0.7, 2))
    values = [problem.utility[rows].sum() for rows in kept(problem)]
    found = solve(problem, "exact")
    if not values or "narrowing" not in found.certificate.values:
        return
    best = max(values)
    assert problem.prove(found.certificate) == pytest.approx(found.certificate.bound)
    exact = read_narrowing(found.certificate.values, problem)
    for size in (0.0, 0.01, 0.1):

        def moved(priced, size=size):
            if priced is None:
                return None
            how = {
                name: getattr(priced, name) * np.exp(size * rng.normal(size=2))
                for name in ("most", "least", "lines")
            }
            return replace(priced, **how)

        steps = [
            Step(step.floor, tuple((moved(low), moved(high)) for low, high in step.ends))
            for step in exact.steps
        ]
        narrowing = Narrowing(tuple(steps), moved(exact.last))
        assert narrowed_bound(problem, problem.utility, narrowing) >= best
    higher = tuple(replace(step, floor=best + 0.05) for step in exact.steps)
    assert narrowed_bound(problem, problem.utility, replace(exact, steps=higher)) >= best


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda stated: stated.pop("last"), "needs steps with floor and ends, and last"),
        (lambda stated: stated.update(steps=3), "needs steps with floor and ends, and last"),
        (lambda stated: stated["steps"][0]["ends"].pop(), "ends must be 6 pairs, one for each li"),
        (lambda stated: stated["steps"][0].update(floor=np.inf), "floor: must be finite; got inf"),
        (lambda stated: stated["last"].update(lines=[1.0]), "lines: must have 6 values; got 1"),
        (lambda stated: stated["last"]["most"].__setitem__(0, np.nan), "prices must be finite"),
        (lambda stated: stated["last"].pop("prices"), "prices are missing"),
    ],
    ids=range(7),
)
def test_a_broken_certificate_is_one_clear_error(solved, change, message):
    """A changed file would end in a traceback."""
    problem, found = solved
    values = json.loads(json.dumps(found.certificate.values))
    change(values["narrowing"])
    with pytest.raises(InvalidInput, match=message):
        read_narrowing(values, problem)


def test_without_a_confidence_there_is_nothing_to_narrow(solved):
    """Lines would be drawn between no ends."""
    _, found = solved
    plain = BudgetedSelection(np.arange(5.0), 2)
    with pytest.raises(InvalidInput, match="no constraint has a confidence"):
        read_narrowing(found.certificate.values, plain)
    assert read_narrowing({}, plain) is None
