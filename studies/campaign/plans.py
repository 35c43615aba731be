"""How many rows a campaign labels when: the papers' I-S notation, in percent or in rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ...problems.errors import InvalidInput

DRAWS = ("random", "class-uniform")
INITS = ("scratch", "previous", "pretrained")
LARGEST = 1 << 63
"""Seeds lie below: SQLite holds no larger numbers."""
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*[-–]\s*(\d+(?:\.\d+)?)")  # noqa: RUF001


@dataclass(frozen=True)
class Plan:
    """The numbers of a campaign.

    Parameters
    ----------
    initial
        Rows of the initial set, I.
    step
        Rows chosen in each cycle, S; those of the audit slice included.
    cycles
        How often rows are chosen; models are trained once more than that.
    audit
        Rows of each batch that are drawn uniformly at random and kept apart.
    seeds
        Seeds of the runs.
    draw
        How the initial set is drawn, one of `DRAWS`.
    init
        What each cycle's model begins from, one of `INITS`.
    """

    initial: int
    step: int
    cycles: int
    audit: int
    seeds: tuple[int, ...]
    draw: str
    init: str

    def require_rows(self, size: int) -> None:
        """Raise `InvalidInput` unless a pool has as many rows as are to be labeled."""
        total = self.initial + self.cycles * self.step
        if total > size:
            raise InvalidInput(
                f"[campaign] budget: {self.initial} rows and {self.cycles} times {self.step} are "
                f"{total}, the pool has {size}; lower the budget or cycles"
            )


def make_plan(stated: dict[str, Any], size: int) -> Plan:
    """Return the plan that a file's ``[campaign]`` table states for a pool of `size` rows.

    Parameters
    ----------
    stated
        ``budget`` is ``"I-S"`` in percent of the pool, as ``"10-5"``, or ``[I, S]`` in rows;
        ``audit`` a share of S; ``seeds`` a number of them or a list.
    size
        N.

    Raises
    ------
    InvalidInput
        At a value that breaks a rule, or a budget above N.

    Examples
    --------
    >>> plan = make_plan({"budget": "10-2.5", "cycles": 4, "seeds": 3, "audit": 0.2}, size=1000)
    >>> plan.initial, plan.step, plan.audit, plan.seeds
    (100, 25, 5, (0, 1, 2))
    """
    initial, step = _budget(stated.get("budget"), size)
    audit = stated.get("audit", 0.0)
    if not 0 <= audit < 1:
        raise InvalidInput(
            f"[campaign] audit: must be a share of each batch from 0 to below 1; got {audit}"
        )
    plan = Plan(
        initial,
        step,
        _at_least(stated.get("cycles", 5), 1, "cycles"),
        round(audit * step),
        _seeds(stated.get("seeds", 1)),
        _one_of(stated.get("draw", "random"), DRAWS, "draw"),
        _one_of(stated.get("init", "scratch"), INITS, "init"),
    )
    if audit and not 0 < plan.audit < step:
        raise InvalidInput(
            f"[campaign] audit: {audit} of {step} rows are {plan.audit}; both the slice and the "
            "rest need a row at least; change audit or the budget"
        )
    plan.require_rows(size)
    return plan


def _budget(stated: Any, size: int) -> tuple[int, int]:
    if isinstance(stated, str) and (found := _PERCENT.fullmatch(stated.strip())):
        shares = [float(text) / 100 for text in found.groups()]
        rows = [round(share * size) for share in shares]
    elif isinstance(stated, list) and len(stated) == 2:
        rows = [value if type(value) is int else 0 for value in stated]
    else:
        rows = []
    if not (rows and min(rows) >= 1):
        raise InvalidInput(
            "[campaign] budget: must be 'I-S' in percent of the pool (initial set, then each "
            f"cycle) or [I, S] in rows, at least one row each; got {stated!r} for {size} rows; "
            "write budget = '10-5' or budget = [100, 50]"
        )
    return rows[0], rows[1]


def _seeds(stated: Any) -> tuple[int, ...]:
    if isinstance(stated, int):
        return tuple(range(_at_least(stated, 1, "seeds")))
    whole = all(type(seed) is int and 0 <= seed < LARGEST for seed in stated)
    if not (whole and stated and len(set(stated)) == len(stated)):
        raise InvalidInput(
            "[campaign] seeds: must be how many, or a list of distinct ones from 0 to below 2**63; "
            f"got {stated!r}"
        )
    return tuple(stated)


def _at_least(value: int, least: int, name: str) -> int:
    if value < least:
        raise InvalidInput(f"[campaign] {name}: must be at least {least}; got {value}")
    return value


def _one_of(value: str, allowed: tuple[str, ...], name: str) -> str:
    if value not in allowed:
        raise InvalidInput(f"[campaign] {name}: must be one of {', '.join(allowed)}; got {value!r}")
    return value
