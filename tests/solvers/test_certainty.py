"""What is called certain, against all labelings of least energy."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from labelcut.problems import CheckFailed, check
from labelcut.problems.extreme_cuts import forced
from labelcut.solvers import solve


def labelings(problem):
    """Return all labelings of least energy ``(L, M + C)``."""
    every = np.array(list(product([False, True], repeat=problem.n_nodes)))
    energies = np.array([sum(problem.energy(present)) for present in every])
    return every[energies == energies.min()]


@pytest.mark.parametrize("weights", ["paper", "weighted"])
def test_a_flow_forces_what_all_labelings_agree_on(tiny_video, weights):
    """A mistake would be called certain that another labeling of the same energy denies."""
    open_nodes = 0
    for seed in range(16):
        problem = tiny_video(seed, weights=weights)
        on, off = forced(problem, solve(problem).certificate.values["flow"])
        best = labelings(problem)
        np.testing.assert_array_equal(on, best.all(axis=0))
        np.testing.assert_array_equal(off, ~best.any(axis=0))
        open_nodes += (~(on | off)).sum()
    assert open_nodes > 0 or weights != "paper"


def test_certainty_that_is_claimed_too_widely_is_found_out(tiny_video):
    """A solution file could pass possible mistakes off as certain ones, and be believed."""
    found = 0
    for seed in range(30):
        problem = tiny_video(seed)
        solution = solve(problem)
        if solution.certain.all() and solution.candidate_certain.all():
            continue
        counts = problem.count(problem.present(solution))
        names = (("fp_least", "fn_least"), ("fp_most", "fn_most"))
        table = {**solution.table}
        for pair in names:
            table |= dict(zip(pair, counts, strict=True))
        forged = replace(
            solution,
            certain=np.ones_like(solution.certain),
            candidate_certain=np.ones_like(solution.candidate_certain),
            table=table,
        )
        with pytest.raises(CheckFailed, match="certain: other labelings of the same energy diff"):
            check(problem, forged)
        check(problem, solution)
        found += 1
    assert found > 1
