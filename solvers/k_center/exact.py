"""Exact k-center: the radius bisected by covers of a sample, found, refuted or branched on."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from ...problems.errors import Stuck
from .._clock import OutOfTime
from ..baselines import solve_random
from ..class_balanced.branching import solve_exact as solve_class_balance
from . import METHODS
from .balanced import solve_balanced
from .bisection import LIGHT, MEDIUM, QUICK, STRONG, Bisection, worth
from .greedily import solve_greedy
from .improving import improve_balanced
from .within import lift_within

if TYPE_CHECKING:
    from ...problems.k_center import KCenter
    from ..search import Search
    from .bisection import Effort

SHARE = 0.1
"""Of the time that is left one branch and bound may take."""
FIRST = 0.3
"""Of the time that is left local search may take before anything is refuted."""
HALF = 0.5
"""Of the time that is left linear programs that hold the limits' rows may take."""
COARSE = 2e-2
"""Relative distance of the bound to a radius in doubt that leaves the rest to trees."""
TURN = 0.5
"""Local search takes this many times as long after it."""


def solve_exact(search: Search[KCenter]) -> None:
    r"""Close the gap between the best radius and a proven bound.

    A radius r is possible if b centers cover all rows within r, and the optimum is a distance
    between two rows. So radii are tested between the bounds, on a sample of rows S that grows by
    rows which a cover of S leaves out (Contardo, Iori & Kramer 2019):

    1. local search finds covers of S; one that covers all rows is a better selection;
    2. the duals of a linear program may prove that there is none, and those prove the bound for
       good (`proves_radius`): the largest radius that they refute is looked for;
       Where constraints limit what is chosen, their rows join the program, and the prices of what
       they limit join the proof (`proves_within_limits`);
    3. radii between both go to branch and bound, by turns with more local search: those first
       where the linear program needs almost as many centers as it would take to refute them. Small
       trees of linear programs (`Tree`), which leave a proof too (`proves_by_branching`), come
       before HiGHS' own, which has cuts and takes seconds.
    """
    start(search)
    if search.problem.balance > 0:
        if METHODS["improve"].refusal(search.problem) is None:
            with suppress(OutOfTime):
                improve_balanced(search, FIRST * search.clock.remaining())
            search.clock.check()
        solve_balanced(search, solve_exact, solve_class_balance)
        return
    bisection = Bisection(search)
    bisection.descend(QUICK, FIRST * search.clock.remaining())
    bisection.lift(COARSE)
    quick = bisection.best
    bisection.descend(LIGHT, FIRST * search.clock.remaining())
    if bisection.best < quick:
        bisection.lift(COARSE)
    settle_soon(bisection)
    bisection.lift()
    push(bisection, MEDIUM)
    lift_within(bisection, HALF * search.clock.remaining())
    settle(bisection)
    search.complete = bisection.low >= bisection.best


def solve_improve(search: Search[KCenter]) -> None:
    """Do what `solve_exact` does to find good answers, and prove nothing beyond greedy's bound.

    That is local search: swaps of centers near the rows left uncovered, or with class balance
    `improve_balanced`.
    """
    start(search)
    if search.problem.balance > 0:
        improve_balanced(search)
        return
    bisection = Bisection(search)
    for effort in (LIGHT, MEDIUM, STRONG):
        bisection.descend(effort)


def settle_soon(bisection: Bisection) -> None:
    """Settle radii in doubt by trees of linear programs until one is too large.

    They take less time than the local search that would look for better covers first.
    """
    slack = 1.0
    while bisection.limits is None and (radius := bisection.hopeful(slack)) is not None:
        bisection.search.stop_if_closed()
        seconds = SHARE * bisection.search.clock.remaining()
        if bisection.branch_soon(radius, seconds) is None:
            return
        slack *= 1.5


def settle(bisection: Bisection) -> None:
    """Settle the radii in doubt by branch and bound until none is left or the clock runs out.

    It begins where linear programs lack less than one center, comes nearer to them after each
    failure and goes farther away after each success. Local search takes turns with it.
    """
    search, slack = bisection.search, 1.0
    seconds = SHARE * search.clock.remaining()
    while (radius := bisection.hopeful(slack)) is not None:
        search.stop_if_closed()
        began, left = search.clock.elapsed(), search.clock.remaining()
        outcome = bisection.branch(radius, max(min(seconds, 0.5 * left), 1.0))
        if outcome is not None:
            slack *= 1.5
            continue
        slack, seconds = 0.5 * slack, 1.5 * seconds
        spent = search.clock.elapsed() - began
        push(bisection, worth(TURN * spent))


def push(bisection: Bisection, effort: Effort) -> None:
    """Cover the radius just below the best by local search, and then much smaller ones."""
    top = bisection.top()
    while top < bisection.best and bisection.cover(top, effort):
        bisection.descend(LIGHT)
        top = bisection.top()


def start(search: Search[KCenter]) -> None:
    """Offer what greedy finds, with its bound."""
    problem = search.problem
    try:
        if METHODS["greedy"].refusal(problem) is None:
            solve_greedy(search)
        else:
            solve_random(cast("Search[Any]", search))
    except OutOfTime:
        if search.best is None:
            with suppress(Stuck, OutOfTime):
                search.offer(problem.random_rows(search.rng(), search.clock.check_late))
        raise
    search.info.pop("curve", None)  # it is of greedy's picks, not of what follows
    search.stop_if_closed()
