"""A person labels between the rounds: what to label next goes out, answers come in."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.atomic import atomic_file
from ...problems.base import plain
from ...problems.errors import InvalidInput
from .answers import is_begun, read_answers
from .limits import limited
from .loop import Run, first_rows
from .store import Store
from .timing import now

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ...problems.arrays import Ints
    from .files import Campaign

CSV = "next.csv"
COCO = "next.json"
FORGOTTEN = "next-forgotten.csv"
_FIRST = -1
"""The cycle that answers to the initial set are kept under."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows that wait for answers.

    Parameters
    ----------
    cycle
        In which they were chosen; -1 is the initial set.
    rows
        The rows, ascending. Those of the audit slice are among them and not told apart.
    csv, coco
        The files that name them.
    """

    cycle: int
    rows: Ints
    csv: Path
    coco: Path


def next_batch(
    campaign: Campaign, stage: Callable[[int, str], None] = lambda cycle, stage: None
) -> Batch | None:
    """Return what a person is to label now, training and choosing first if need be.

    Called again before the answers are there, it returns the same rows, and leaves the CSV file
    alone if somebody has begun to fill it in.

    Parameters
    ----------
    campaign
        One with a person.
    stage
        Called with the cycle and what begins.

    Returns
    -------
    Batch or None
        None when all cycles are over.

    Raises
    ------
    InvalidInput
        If the campaign is none with a person, or as `run_campaign` does.
    """
    _require_person(campaign)
    store = Store(campaign.folder)
    with store.opened(campaign):
        return _next(campaign, store, stage)


def take_labels(
    campaign: Campaign,
    path: Path,
    stage: Callable[[int, str], None] = lambda cycle, stage: None,
    *,
    replace: bool = False,
) -> Batch | None:
    """Keep a person's answers and return what to label next, as `next_batch` does.

    Parameters
    ----------
    campaign
        One with a person.
    path
        A CSV file with the columns ``row`` or ``id`` and ``label``, the number or the name of a
        class: an answer for each row that was asked for, and for no other.
    stage
        As in `next_batch`.
    replace
        The file corrects the answers that were given last: the batch that was chosen after them is
        forgotten, and chosen again. A file of it that somebody has begun to fill in is kept as
        ``next-forgotten.csv``, the next one as ``next-forgotten-2.csv``.

    Raises
    ------
    InvalidInput
        If nothing was asked for, the rows are not those asked for, or a label is no class; nothing
        is kept then.
    """
    _require_person(campaign)
    store = Store(campaign.folder)
    with store.opened(campaign):
        if replace:
            _replace(campaign, store, path, stage)
            return _next(campaign, store, stage)
        entrant, seed = campaign.strategies[0], campaign.plan.seeds[0]
        waiting = _waiting(campaign, store)
        if waiting is None:
            raise InvalidInput(
                f"{path.name}: nothing was asked for, or its answers are kept already; run "
                "'labelcut campaign next', or correct them with --replace"
            )
        cycle, rows = waiting
        labels = read_answers(path, campaign.pool, rows, hint=_corrects(store, entrant.name, seed))
        store.add_answers(entrant.name, seed, cycle, labels)
        return _next(campaign, store, stage)


def _replace(
    campaign: Campaign, store: Store, path: Path, stage: Callable[[int, str], None]
) -> None:
    """Correct the answers that were given last."""
    entrant, seed = campaign.strategies[0], campaign.plan.seeds[0]
    given = store.answers(entrant.name, seed)
    if not given:
        raise InvalidInput(
            f"{path.name}: there are no answers yet that could be replaced; leave --replace out"
        )
    last = max(given)
    asked = np.array(sorted(given[last]), dtype=np.int64)
    hint = "; --replace takes the batch that was answered last, not the one that waits"
    labels = read_answers(path, campaign.pool, asked, hint=hint)
    changed = sum(labels[row] != label for row, label in given[last].items())
    stage(last, f"{changed} of {len(asked)} answers are others than before")
    if not changed:
        return
    waiting = _waiting(campaign, store)
    file = campaign.folder / CSV
    if waiting is not None and is_begun(file, waiting[1]):
        kept = _free(campaign.folder / FORGOTTEN)
        file.replace(kept)
        stage(waiting[0], f"chosen again; what was filled in already is in {kept.name}")
    store.replace_answers(entrant.name, seed, last, labels)


def _free(path: Path) -> Path:
    """Return a path, or what is free of it numbered from 2: nobody's work is written over."""
    numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2))
    return next(free for free in chain([path], numbered) if not free.exists())


def _corrects(store: Store, strategy: str, seed: int) -> str:
    """Return the hint that answers may be corrected, where there are any."""
    answered = store.answers(strategy, seed)
    return "; to correct answers given before, say --replace" if answered else ""


def _next(campaign: Campaign, store: Store, stage: Callable[[int, str], None]) -> Batch | None:
    entrant, seed = campaign.strategies[0], campaign.plan.seeds[0]
    waiting = _waiting(campaign, store)
    if waiting is None:
        given = store.answers(entrant.name, seed)
        begun = now()
        with limited(campaign.threads):  # imports torch, which is not the loop's own time
            start = now().less(begun)
            run = Run(campaign, store, entrant, seed, _labels(campaign, given), stage, start=start)
            if run.is_over:
                return None
            finished = run.next()
        store.add(finished, campaign.pool.ids)
        waiting = finished.record.cycle, finished.record.chosen
        if not len(finished.record.chosen):
            return None
    return _written(campaign, *waiting)


def _waiting(campaign: Campaign, store: Store) -> tuple[int, Ints] | None:
    """Return the cycle and rows that have no answers yet, or None."""
    entrant, seed = campaign.strategies[0], campaign.plan.seeds[0]
    given = store.answers(entrant.name, seed)
    past = store.past(entrant.name, seed)
    if not past:
        asks = _FIRST not in given and not len(campaign.pool.known)
        return (_FIRST, first_rows(campaign, seed)) if asks else None
    last = past[-1].record
    return (last.cycle, last.chosen) if len(last.chosen) and last.cycle not in given else None


def _labels(campaign: Campaign, given: dict[int, dict[int, int]]) -> Callable[[Ints], Ints]:
    truth = np.full(campaign.pool.size, -1, dtype=np.int64)
    if campaign.pool.truth is not None:
        truth[:] = campaign.pool.truth
    for answers in given.values():
        for row, label in answers.items():
            truth[row] = label
    return lambda rows: truth[rows]


def _written(campaign: Campaign, cycle: int, rows: Ints) -> Batch:
    pool = campaign.pool
    names = rows if pool.ids is None else pool.ids[rows]
    columns = {name: values[rows] for name, values in pool.table.items() if name != "label"}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "id", *columns, "label"])
    for at, row in enumerate(rows):
        writer.writerow([row, names[at], *(values[at] for values in columns.values()), ""])
    images = [
        {
            "id": plain(names[at]),
            "row": int(row),
            "file_name": str(columns["file_name"][at] if "file_name" in columns else names[at]),
        }
        for at, row in enumerate(rows)
    ]
    coco: dict[str, Any] = {
        "info": {"description": campaign.title, "cycle": cycle},
        "images": images,
        "annotations": [],
        "categories": [
            {"id": at, "name": name}
            for at, name in enumerate(pool.class_names or map(str, range(pool.classes)))
        ],
    }
    batch = Batch(cycle, rows, campaign.folder / CSV, campaign.folder / COCO)
    if not is_begun(batch.csv, rows):
        with atomic_file(batch.csv) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")
    with atomic_file(batch.coco) as temporary:
        temporary.write_text(json.dumps(coco, indent=1) + "\n", encoding="utf-8")
    return batch


def _require_person(campaign: Campaign) -> None:
    if not campaign.with_person:
        raise InvalidInput(
            f"{campaign.path.name}: the truth answers by itself; run 'labelcut campaign run', or "
            "write answers = 'person'"
        )
