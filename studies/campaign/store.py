"""Where a campaign keeps what it has: SQLite rows, selections, weights; one process at a time."""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.atomic import atomic_file
from ...problems.errors import InvalidInput
from .records import DATABASE, Record, Results, load_results

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import nn

    from .files import Campaign

FORMAT = 2
PLANNED, CYCLES = "cycles planned first", "cycles"
"""Facts that may change: how many cycles there were to be at the beginning, and how many now."""
LOCK = "lock.sqlite"
_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS strategies (name TEXT PRIMARY KEY, fingerprint TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS records (
    number INTEGER PRIMARY KEY, strategy TEXT NOT NULL, seed INTEGER NOT NULL,
    cycle INTEGER NOT NULL, content TEXT NOT NULL, state TEXT NOT NULL,
    UNIQUE (strategy, seed, cycle)
);
CREATE TABLE IF NOT EXISTS answers (
    strategy TEXT NOT NULL, seed INTEGER NOT NULL, cycle INTEGER NOT NULL, content TEXT NOT NULL,
    UNIQUE (strategy, seed, cycle)
);
"""


@dataclass(frozen=True, eq=False)
class Finished:
    """A finished cycle, with what the next one needs of it.

    Parameters
    ----------
    record
        Its numbers.
    state
        What survives, in JSON's own types: the strategy's memory, and more.
    solution
        The solver's answer as it saves itself, or None.
    """

    record: Record
    state: Mapping[str, Any]
    solution: Mapping[str, Any] | None = None


class Store:
    """The folder of a campaign.

    Parameters
    ----------
    folder
        Made when it is opened for the first time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def opened(self, campaign: Campaign) -> Iterator[None]:
        """Hold the folder for this process alone, and for this campaign.

        Raises
        ------
        InvalidInput
            If another process holds it, it belongs to another campaign, or cannot be written.
        """
        try:
            for folder in (self.folder, self.folder / "selections", self.folder / "weights"):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from None
        with self._locked():
            self._begin(campaign)
            yield

    def results(self) -> Results:
        """Return all records so far."""
        return load_results(self.folder)

    def past(self, strategy: str, seed: int) -> list[Finished]:
        """Return what a run has finished, by cycle."""
        with self._database() as database:
            rows = database.execute(
                "SELECT content, state, number FROM records WHERE strategy = ? AND seed = ? "
                "ORDER BY cycle",
                (strategy, seed),
            ).fetchall()
        return [
            Finished(Record.from_dict(json.loads(content), number), json.loads(state))
            for content, state, number in rows
        ]

    def add(self, finished: Finished, ids: Any = None) -> None:
        """Keep a finished cycle: its selection first, then its row, which makes it count."""
        record = finished.record
        chosen = record.chosen
        selection = {
            **record.to_dict(),
            "ids": None if ids is None else np.asarray(ids)[chosen].tolist(),
            "solution": finished.solution,
        }
        path = self.folder / "selections" / f"{run_name(record)}-c{record.cycle}.json"
        with atomic_file(path) as temporary:
            temporary.write_text(json.dumps(selection, indent=1) + "\n", encoding="utf-8")
        row = (json.dumps(record.to_dict()), json.dumps(finished.state), *record.key)
        with self._database() as database:
            # The last cycle of a campaign whose cycles were raised is there, and chose nothing.
            known = database.execute(
                "SELECT content FROM records WHERE strategy = ? AND seed = ? AND cycle = ?",
                record.key,
            ).fetchone()
            if known is not None and len(chosen) and not json.loads(known[0])["chosen"]:
                command = (
                    "UPDATE records SET content = ?, state = ? "
                    "WHERE strategy = ? AND seed = ? AND cycle = ?"
                )
            else:
                command = (
                    "INSERT INTO records (content, state, strategy, seed, cycle) "
                    "VALUES (?, ?, ?, ?, ?)"
                )
            database.execute(command, row)
        self._drop_weights(record)

    def planned_cycles(self) -> int:
        """Return how many cycles the campaign was to have when it was begun."""
        with self._database() as database:
            row = database.execute("SELECT value FROM facts WHERE name = ?", (PLANNED,)).fetchone()
        return int(row[0])

    def answers(self, strategy: str, seed: int) -> dict[int, dict[int, int]]:
        """Return what people have answered: classes by row, by cycle, -1 the initial set."""
        with self._database() as database:
            rows = database.execute(
                "SELECT cycle, content FROM answers WHERE strategy = ? AND seed = ?",
                (strategy, seed),
            ).fetchall()
        return {
            cycle: {int(row): label for row, label in json.loads(text).items()}
            for cycle, text in rows
        }

    def add_answers(self, strategy: str, seed: int, cycle: int, labels: Mapping[int, int]) -> None:
        """Keep the answers to a batch, all of them at once."""
        with self._database() as database:
            database.execute(
                "INSERT INTO answers VALUES (?, ?, ?, ?)",
                (strategy, seed, cycle, json.dumps(dict(labels))),
            )

    def replace_answers(
        self, strategy: str, seed: int, cycle: int, labels: Mapping[int, int]
    ) -> None:
        """Correct the answers to a batch, and forget the cycles that have learned from the old."""
        with self._database() as database:
            database.execute(
                "UPDATE answers SET content = ? WHERE strategy = ? AND seed = ? AND cycle = ?",
                (json.dumps(dict(labels)), strategy, seed, cycle),
            )
            database.execute(
                "DELETE FROM records WHERE strategy = ? AND seed = ? AND cycle > ?",
                (strategy, seed, cycle),
            )

    def save_models(
        self, run: tuple[str, int], cycle: int, models: Mapping[str, nn.Module]
    ) -> None:
        """Write the weights of models; they are whole before the cycle's row tells of them."""
        from safetensors.torch import save

        for name, model in models.items():
            # Clones, as tensors that share memory are not saved.
            weights = {key: value.detach().cpu().clone() for key, value in _weights(model).items()}
            with atomic_file(self._weights_path(run, cycle, name)) as temporary:
                temporary.write_bytes(save(weights))

    def load_model(
        self, run: tuple[str, int], cycle: int, name: str, model: nn.Module
    ) -> nn.Module:
        """Read weights into a model that has been made alike."""
        from ...models.named import load_weights

        load_weights(model, self._weights_path(run, cycle, name))
        return model

    def _weights_path(self, run: tuple[str, int], cycle: int, name: str) -> Path:
        return self.folder / "weights" / f"{run[0]}-s{run[1]}-c{cycle}.{name}.safetensors"

    def _drop_weights(self, record: Record) -> None:
        """Delete what is not needed to go on, nor to do this cycle over."""
        before = f"{run_name(record)}-c{record.cycle - 2}.*.safetensors"
        for path in (self.folder / "weights").glob(before):
            path.unlink(missing_ok=True)

    def _begin(self, campaign: Campaign) -> None:
        with self._database() as database:
            database.executescript(f"BEGIN; {_TABLES} COMMIT;")
            known = dict(database.execute("SELECT name, value FROM facts").fetchall())
            cycles = campaign.plan.cycles
            facts = {"format": str(FORMAT), **campaign.fingerprints}
            finished = {name for (name,) in database.execute("SELECT strategy FROM records")}
            # With a person rows have gone out already, and may be half labeled.
            if known and not finished and not campaign.with_person:
                known = {}
                database.execute("DELETE FROM facts")
            if known:
                planned, before = (known.pop(name, str(cycles)) for name in (PLANNED, CYCLES))
                self._compare(known, facts)
                if cycles < int(before):
                    raise InvalidInput(
                        f"{self.folder}: [campaign] cycles was {before} and is {cycles} now; it "
                        f"can be raised, not lowered; write {before} or more, or let [campaign] "
                        "folder name a new folder"
                    )
            else:
                planned = str(cycles)
                database.executemany("INSERT INTO facts VALUES (?, ?)", list(facts.items()))
            moving = [(PLANNED, planned), (CYCLES, str(cycles))]
            database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", moving)
            for entrant in campaign.strategies:
                row = (entrant.name, entrant.fingerprint)
                database.execute("INSERT OR IGNORE INTO strategies VALUES (?, ?)", row)
                (kept,) = database.execute(
                    "SELECT fingerprint FROM strategies WHERE name = ?", (entrant.name,)
                ).fetchone()
                if kept == entrant.fingerprint:
                    continue
                if entrant.name in finished or campaign.with_person:
                    raise self._another(f"the strategy {entrant.name}", "give it another name, ")
                # It failed before it had finished a cycle, and was mended.
                database.execute("UPDATE strategies SET fingerprint = ? WHERE name = ?", row[::-1])

    def _compare(self, known: Mapping[str, str], facts: Mapping[str, str]) -> None:
        """Raise `InvalidInput` at the first fact that is another than it was."""
        for name in [*facts, *known]:
            before, now = known.get(name), facts.get(name)
            if before == now:
                continue
            if name == "format":
                raise InvalidInput(
                    f"{self.folder}: was begun by another version of labelcut (format {before}, "
                    f"this one writes {now}); go on with that version, or let [campaign] folder "
                    "name a new folder"
                )
            values = ""
            if name.startswith("["):  # keys of the file; the others are hashes
                values = f" (it was {before or 'not there'}, it is {now or 'not there'})"
            raise self._another(f"{name}{values}")

    def _another(self, what: str, way_out: str = "") -> InvalidInput:
        return InvalidInput(
            f"{self.folder}: was begun with another state of {what}; results of both would mix; "
            f"change it back, {way_out}or let [campaign] folder name a new "
            "folder (only seeds, strategies and cycles may be added)"
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # The operating system takes this lock back from a process that is gone, however it went.
        lock = sqlite3.connect(self.folder / LOCK, timeout=0, isolation_level=None)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            lock.close()
            if "locked" not in str(error):
                raise self._unwritable(error) from None
            raise InvalidInput(
                f"{self.folder}: another process is working on this campaign; wait for it, or "
                "stop it; status and report read meanwhile"
            ) from None
        try:
            yield
        finally:
            lock.close()

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        """Open the database for one transaction."""
        try:
            database = sqlite3.connect(self.folder / DATABASE, timeout=30)
            try:
                with database:
                    yield database
            finally:
                database.close()
        except sqlite3.DatabaseError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: Exception) -> InvalidInput:
        return InvalidInput(
            f"{self.folder}: cannot be written ({error}); what is there stays good; free space or "
            "choose another [campaign] folder, and run the same command again"
        )


def run_name(record: Record) -> str:
    """Return how files call a record's run."""
    return f"{record.strategy}-s{record.seed}"


def _weights(model: nn.Module) -> dict[str, Any]:
    return {key: value for key, value in model.state_dict().items() if hasattr(value, "detach")}
