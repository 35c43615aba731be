"""What a campaign has found out: one record for each finished cycle of each run."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...problems.arrays import Floats, Ints

DATABASE = "campaign.sqlite"
"""Name of the database in a campaign's folder."""
FULL = "all-labels"
"""What stands for the strategy in records of models that have learned from every row."""


@dataclass(frozen=True, eq=False)
class Record:
    """One finished cycle of one run.

    Parameters
    ----------
    strategy, seed, cycle
        Which; cycle 0 is the model of the initial set.
    labeled
        Rows that were labeled when this cycle's model was trained.
    share
        The same over N.
    metrics
        Numbers by name: accuracy, l1_true, seconds_train, …
    chosen
        Rows chosen with this model, ascending, those of the audit slice included; none in the
        last cycle.
    histogram
        Labeled rows of each class ``(C,)``.
    audit
        Those of `chosen` that are of the audit slice.
    order
        How many records were finished before.
    """

    strategy: str
    seed: int
    cycle: int
    labeled: int
    share: float
    metrics: Mapping[str, float]
    chosen: Ints
    histogram: Ints
    audit: Ints
    order: int = 0

    @property
    def key(self) -> tuple[str, int, int]:
        """Strategy, seed and cycle."""
        return self.strategy, self.seed, self.cycle

    def lacks_choice(self, cycles: int) -> bool:
        """Return whether it chose nothing, being the last then, and is to now with more cycles."""
        return self.cycle < cycles and not len(self.chosen) and self.strategy != FULL

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the order in JSON's own types."""
        return {
            "strategy": self.strategy,
            "seed": self.seed,
            "cycle": self.cycle,
            "labeled": self.labeled,
            "share": self.share,
            "metrics": dict(self.metrics),
            "chosen": self.chosen.tolist(),
            "histogram": self.histogram.tolist(),
            "audit": self.audit.tolist(),
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, Any], order: int = 0) -> Record:
        """Return the record that `to_dict` told."""
        rows = {
            name: np.array(told[name], dtype=np.int64) for name in ("chosen", "histogram", "audit")
        }
        return cls(**{**told, **rows, "order": order})


@dataclass(frozen=True, eq=False)
class Results:
    """All records of a campaign, in the order in which they were finished.

    Parameters
    ----------
    records
        Those of strategies.
    full
        Those of models that have learned from every row, where the campaign asks for them.
    named
        Strategies in the order in which tables and pictures show them; default: as they finished.

    Examples
    --------
    >>> none = np.zeros(0, np.int64)
    >>> made = Record("random", 1, 0, 5, 0.1, {"accuracy": 0.25}, none, none, none)
    >>> again = Record("random", 2, 0, 5, 0.1, {"accuracy": 0.5}, none, none, none)
    >>> Results((made, again)).table("accuracy")
    array([[[0.25],
            [0.5 ]]])
    """

    records: tuple[Record, ...]
    full: tuple[Record, ...] = ()
    named: tuple[str, ...] = ()

    @cached_property
    def strategies(self) -> tuple[str, ...]:
        """Names of those that have records, in the order of `named`, then as they finished."""
        found = dict.fromkeys(record.strategy for record in self.records)
        first = [name for name in self.named if name in found]
        return tuple(dict.fromkeys([*first, *found]))

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Seeds, ascending."""
        return tuple(sorted({record.seed for record in self.records}))

    @cached_property
    def cycles(self) -> tuple[int, ...]:
        """Cycles, ascending."""
        return tuple(sorted({record.cycle for record in self.records}))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all metrics, in the order in which they first came."""
        return tuple(dict.fromkeys(name for record in self.records for name in record.metrics))

    def table(self, metric: str) -> Floats:
        """Return a metric ``(strategies, seeds, cycles)``, NaN where it is missing.

        Besides metrics, ``labeled`` and ``share`` are known.
        """
        values = np.full((len(self.strategies), len(self.seeds), len(self.cycles)), np.nan)
        for record in self.records:
            where = (
                self.strategies.index(record.strategy),
                self.seeds.index(record.seed),
                self.cycles.index(record.cycle),
            )
            own = {"labeled": record.labeled, "share": record.share}
            values[where] = {**record.metrics, **own}.get(metric, np.nan)
        return values

    def run(self, strategy: str, seed: int) -> tuple[Record, ...]:
        """Return the records of one run by cycle."""
        mine = [r for r in self.records if r.strategy == strategy and r.seed == seed]
        return tuple(sorted(mine, key=lambda record: record.cycle))


def load_results(folder: str | Path) -> Results:
    """Read what a campaign has finished so far, also while it runs.

    Parameters
    ----------
    folder
        The campaign's folder.

    Raises
    ------
    InvalidInput
        If it is no folder of a campaign.
    """
    path = Path(folder) / DATABASE
    if not path.is_file():
        raise InvalidInput(f"{folder}: holds no {DATABASE}; run the campaign first")
    try:
        # Not read-only: what a killed process has left half written must be rolled back first.
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True)) as database:
            if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
                return Results(())  # its run begins just now, or was killed as it began
            rows = database.execute(
                "SELECT number, content FROM records ORDER BY number"
            ).fetchall()
            named = database.execute("SELECT name FROM strategies ORDER BY rowid").fetchall()
    except sqlite3.DatabaseError as error:
        raise InvalidInput(f"{path}: cannot be read ({error}); is it a campaign's?") from None
    found = [Record.from_dict(json.loads(text), number) for number, text in rows]
    return Results(
        tuple(record for record in found if record.strategy != FULL),
        tuple(record for record in found if record.strategy == FULL),
        tuple(name for (name,) in named),
    )
