"""Events at which candidates are drawn, valued, and a batch of exactly k of them is picked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...problems import BudgetedSelection, GroupLimit, Include, Status
from ...problems.errors import InvalidInput
from ...solvers import solve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ...problems.constraints import Constraint

    Rows = NDArray[np.int64]


class Task(Protocol):
    """What offers candidates and pays for picks."""

    def offers(self, rng: np.random.Generator) -> Rows:
        """Return the rows that can be picked now; none where the episode is over."""

    def pick(self, rows: Rows) -> NDArray[Any]:
        """Pick rows, and return what each of them brought ``(k,)``."""


class Strategy(Protocol):
    """What values candidates, and may learn from what picks brought."""

    @property
    def explore(self) -> float:
        """The share of picks that are drawn evenly."""

    def values(self, rows: Rows) -> NDArray[np.float64]:
        """Return the value of each candidate ``(n,)``; higher is picked first."""

    def picked(self, rows: Rows, rewards: NDArray[Any]) -> None:
        """See what picks have brought."""

    def ended(self) -> None:
        """See that the episode is over."""


@dataclass(frozen=True, eq=False)
class Limit:
    """So many rows at most of each group, in one batch.

    Parameters
    ----------
    groups
        Of every row of the dataset ``(N,)``: its image, or its group of near-duplicates.
    at_most
        How many.
    """

    groups: NDArray[Any]
    at_most: int

    def of(self, rows: Rows) -> GroupLimit:
        """Return it as a constraint on a problem over some of the rows."""
        return GroupLimit(np.asarray(self.groups)[rows], at_most=self.at_most)


@dataclass(frozen=True, eq=False)
class Mined:
    """What an episode came to.

    Attributes
    ----------
    rows
        Picked rows, event after event.
    rewards
        What each brought.
    events
        Number of picks of each event.
    """

    rows: Rows
    rewards: NDArray[np.float64]
    events: tuple[int, ...]

    @property
    def hits(self) -> NDArray[np.float64]:
        """Sum of the rewards of each event."""
        ends = np.cumsum(self.events)
        return np.array([part.sum() for part in np.split(self.rewards, ends[:-1])])


def mine(
    task: Task,
    strategy: Strategy,
    *,
    budget: int,
    size: int = 100,
    limits: Sequence[Limit] = (),
    seed: int | Sequence[int] = 0,
) -> Mined:
    """Pick a batch at every event until the budget is spent or nothing is offered.

    At each event a task offers candidates, a strategy values them, and exactly `size` are picked
    (the rest of the budget in the last event), of the greatest total value that the limits allow.
    A strategy that explores has some of the picks drawn evenly beforehand, within the limits;
    where these would keep the batch from being full, the event goes without.

    Parameters
    ----------
    task
        Such as `PoolTask`.
    strategy
        Such as `Fixed` or `Learning`.
    budget
        Picks in all.
    size
        Picks of an event.
    limits
        In one batch.
    seed
        Of draws and exploration; both are the same for all strategies as far as they offer the
        same.

    Raises
    ------
    InvalidInput
        If the candidates of an event hold no such batch.
    """
    rows: list[Rows] = []
    rewards: list[NDArray[np.float64]] = []
    left, event = budget, 0
    base = [seed] if isinstance(seed, int) else list(seed)
    while left > 0:
        offered = task.offers(np.random.default_rng([*base, event, 0]))
        if not len(offered):
            break
        values = strategy.values(offered)
        count = min(size, left, len(offered))
        rng = np.random.default_rng([*base, event, 1])
        forced = explored(rng, offered, int(rng.binomial(count, strategy.explore)), limits)
        chosen = offered[batch(values, offered, count, limits, forced)]
        brought = np.asarray(task.pick(chosen), dtype=np.float64)
        strategy.picked(chosen, brought)
        rows.append(chosen)
        rewards.append(brought)
        left, event = left - count, event + 1
    strategy.ended()
    none: Rows = np.zeros(0, dtype=np.int64)
    return Mined(
        np.concatenate([none, *rows]),
        np.concatenate([none, *rewards], dtype=np.float64),
        tuple(map(len, rows)),
    )


def batch(
    values: NDArray[np.float64],
    rows: Rows,
    count: int,
    limits: Sequence[Limit] = (),
    forced: Rows | None = None,
) -> Rows:
    r"""Solve for the places of exactly `count` candidates of the greatest total value.

    .. math:: \max_z \sum_i Q_i z_i \quad\text{s.t.}\quad \sum_i z_i = k,\;
        \sum_{i \in g} z_i \le u_g

    Parameters
    ----------
    values
        Q ``(n,)``.
    rows
        The candidates' rows in the dataset ``(n,)``, which the limits' groups are of.
    count
        k.
    limits
        Groups and u.
    forced
        Places that are part of the batch if one with them exists.

    Raises
    ------
    InvalidInput
        If no such batch exists, saying why.
    """
    rules: list[Constraint] = [limit.of(rows) for limit in limits]
    if forced is not None and len(forced):
        solution = solve(BudgetedSelection(values, count, constraints=[*rules, Include(forced)]))
        if solution.objective is not None:
            return solution.indices
    solution = solve(BudgetedSelection(values, count, constraints=rules))
    if solution.objective is None:
        why = solution.reason if solution.status == Status.INFEASIBLE else "the clock stopped it"
        raise InvalidInput(
            f"batch: {count} of {len(rows):,} candidates are asked for; {why}; draw more "
            "candidates, pick fewer, or loosen the limits"
        )
    return solution.indices


def explored(
    rng: np.random.Generator, rows: Rows, count: int, limits: Sequence[Limit] = ()
) -> Rows:
    """Draw places of candidates evenly, `count` at most, passing over those beyond a limit."""
    taken: list[int] = []
    counts: list[dict[Any, int]] = [{} for _ in limits]
    groups = [np.asarray(limit.groups)[rows] for limit in limits]
    for place in rng.permutation(len(rows)) if count else ():
        own = [found[place] for found in groups]
        if all(
            used.get(group, 0) < limit.at_most
            for used, group, limit in zip(counts, own, limits, strict=True)
        ):
            for used, group in zip(counts, own, strict=True):
                used[group] = used.get(group, 0) + 1
            taken.append(int(place))
            if len(taken) == count:
                break
    return np.sort(np.array(taken, dtype=np.int64))


class PoolTask:
    """Rows of a pool, of which some are drawn at every event; each can be picked once.

    Parameters
    ----------
    rewards
        What every row of the dataset brings when it is picked ``(N,)``; looked at only then.
    rows
        The pool.
    draw
        Candidates at each event: so many of those left, drawn evenly.
    """

    def __init__(self, rewards: NDArray[Any], rows: Rows, draw: int = 2000) -> None:
        self._rewards = rewards
        self._left = np.sort(np.asarray(rows, dtype=np.int64))
        self._draw = draw

    def offers(self, rng: np.random.Generator) -> Rows:
        """Draw candidates from what is left."""
        count = min(self._draw, len(self._left))
        return np.sort(rng.choice(self._left, count, replace=False))

    def pick(self, rows: Rows) -> NDArray[Any]:
        """Take rows out of the pool and return their rewards."""
        self._left = np.setdiff1d(self._left, rows, assume_unique=True)
        return np.asarray(self._rewards)[rows]
