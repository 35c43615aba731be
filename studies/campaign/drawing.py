"""What a campaign draws by chance, alike for all strategies: initial set and audit slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...problems.errors import InvalidInput
from .seeds import derive_seed

if TYPE_CHECKING:
    from ...problems.arrays import Ints
    from .plans import Plan
    from .pool import Pool


def draw_initial(pool: Pool, plan: Plan, seed: int) -> Ints:
    """Return the rows of the initial set, ascending.

    ``random`` draws them uniformly. ``class-uniform`` draws equal numbers of every class; what
    does not divide, or what small classes lack, comes from classes drawn at random.

    Raises
    ------
    InvalidInput
        If ``class-uniform`` has too few rows of known class.
    """
    rng = np.random.default_rng(derive_seed(seed, "initial"))
    if plan.draw == "random":
        return np.sort(rng.choice(pool.size, plan.initial, replace=False))
    if len(pool.known) < plan.initial:
        raise InvalidInput(
            f"[campaign] draw: class-uniform needs {plan.initial} rows of known class; "
            f"{len(pool.known)} are known; write draw = 'random'"
        )
    assert pool.truth is not None
    known = rng.permutation(pool.known)
    classes = pool.truth[known]
    order = np.argsort(classes, kind="stable")
    counts = np.bincount(classes, minlength=pool.classes)
    turn = np.empty(len(known))
    turn[order] = np.concatenate([np.arange(count) for count in counts])
    # Every class has its turn before one has two; who begins is drawn.
    first = np.lexsort((rng.permutation(pool.classes)[classes], turn))
    return np.sort(known[first[: plan.initial]])


def draw_audit(size: int, plan: Plan, seed: int, initial: Ints) -> Ints:
    """Return the audit slices ``(cycles, audit)``: each row uniform over all but the initial set.

    They are drawn before anything is chosen and barred from the strategies until their cycle, so
    that all slices so far are a uniform sample of what was unlabeled at the beginning, whatever
    was chosen meanwhile.
    """
    rng = np.random.default_rng(derive_seed(seed, "audit"))
    rest = np.setdiff1d(np.arange(size), initial)
    drawn = rng.choice(rest, (plan.cycles, plan.audit), replace=False)
    return np.sort(drawn, axis=1)
