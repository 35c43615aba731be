"""The loop of one run: train, measure, choose, label, and again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.base import plain
from ...problems.errors import InvalidInput
from ...problems.selection import Selection
from ...problems.solution_files import solution_to_dict
from .audit import audit_metrics
from .checking import checked_rows
from .choices import choice_metrics
from .drawing import draw_audit, draw_initial
from .records import Record
from .round import Round
from .seeds import derive_seed
from .store import Finished
from .timing import Spent, Stopwatch, now
from .training import Tracker, finite, first_model, measured, seed_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn

    from ...problems.arrays import Ints
    from .entrants import Entrant
    from .files import Campaign
    from .store import Store

_OWN = "model"
"""What the weights of the loop's model are called; a strategy's are called by their key."""


@dataclass(eq=False)
class Run:
    """One strategy with one seed, as far as it has come.

    Parameters
    ----------
    campaign, store
        What it belongs to, and where weights are kept.
    entrant, seed
        Which run it is.
    labels_of
        Classes of rows that are labeled; by default the truth.
    stage
        Called with the cycle and what begins: ``"train"``, ``"score"``, ``"choose"``.
    since
        When the next cycle's seconds begin to count.
    start
        What it took to start the process, for the next cycle's record.
    """

    campaign: Campaign
    store: Store
    entrant: Entrant
    seed: int
    labels_of: Callable[[Ints], Ints]
    stage: Callable[[int, str], None] = lambda cycle, stage: None
    since: Spent = field(default_factory=now)
    start: Spent | None = None
    initial: Ints = field(init=False)
    slices: Ints = field(init=False)
    batches: list[Ints] = field(init=False, default_factory=list)
    memory: dict[str, Any] = field(init=False, default_factory=dict)
    before: Ints | None = field(init=False, default=None)
    model: nn.Module | None = field(init=False, default=None)
    models: dict[str, nn.Module] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Draw what is drawn, and take up what the store has."""
        pool, plan = self.campaign.pool, self.campaign.plan
        self.initial = first_rows(self.campaign, self.seed)
        # Cycles that were added later have no slice: strategies may have chosen any row by then.
        planned = replace(plan, cycles=self.store.planned_cycles())
        self.slices = draw_audit(pool.size, planned, self.seed, self.initial)
        past = self.store.past(self.entrant.name, self.seed)
        if past and past[-1].record.lacks_choice(plan.cycles):
            past.pop()
        self.batches = [finished.record.chosen for finished in past]
        if past:
            self._restore(past[-1])

    @property
    def key(self) -> tuple[str, int]:
        """Strategy and seed."""
        return self.entrant.name, self.seed

    @property
    def cycle(self) -> int:
        """The cycle that comes next."""
        return len(self.batches)

    @property
    def is_over(self) -> bool:
        """Whether no cycle is left."""
        return self.cycle > self.campaign.plan.cycles

    def labeled(self) -> Ints:
        """Return the rows labeled by now, ascending."""
        return np.sort(np.concatenate([self.initial, *self.batches]))

    def cycles(self) -> Iterator[Finished]:
        """Run what is left, cycle by cycle."""
        while not self.is_over:
            yield self.next()

    def next(self) -> Finished:
        """Run one cycle.

        Raises
        ------
        InvalidInput
            If the strategy returns anything but the rows it should; the run stays as it was.
        """
        labeled = self.labeled()
        round = self._round(labeled, self.labels_of(labeled), Stopwatch())
        with round.watch.on("score"):
            metrics = measured(self.campaign.learner, self.campaign.pool, round.model)
        answer, own = self._choose(round)
        metrics |= self._chosen(round, own)
        predicted, told = self._audited(round)
        metrics |= told
        metrics |= self._own_metrics(round, metrics)
        is_kept = self.campaign.plan.init == "previous"
        kept = round.models | ({_OWN: round.model} if is_kept else {})
        self.store.save_models(self.key, self.cycle, kept)
        metrics |= self._seconds(round)
        state: dict[str, Any] = {
            "memory": self._remembered(round),
            "audit_predicted": None if predicted is None else predicted.tolist(),
            "models": sorted(round.models),
        }
        record = self._record(round, metrics, own)
        self.batches.append(record.chosen)
        # As the store will give it back: a run that is resumed must not differ in anything, such
        # as a model that is left in evaluation mode.
        self.memory, self.before = state["memory"], predicted
        self._take_up(record.cycle, state["models"])
        return Finished(
            record, state, solution_to_dict(answer) if isinstance(answer, Selection) else None
        )

    def _choose(self, round: Round) -> tuple[Any, Ints]:
        """Return what the strategy answers and its rows; none in the last cycle."""
        self.stage(round.cycle, "choose")
        strategy = self.entrant.strategy
        with round.watch.on("choose"):
            seed_all(derive_seed(round.seed, "choose"))
            if strategy.prepare is not None:
                strategy.prepare(round)
            if round.cycle == self.campaign.plan.cycles:
                return None, np.zeros(0, dtype=np.int64)
            answer = strategy.choose(round)
            return answer, checked_rows(answer, round, f"{self.entrant.name}, seed {self.seed}")

    def _record(self, round: Round, metrics: dict[str, float], own: Ints) -> Record:
        size, classes = self.campaign.pool.size, self.campaign.pool.classes
        audit = self.slices[round.cycle : round.cycle + 1].ravel()
        return Record(
            *self.key,
            round.cycle,
            len(round.labeled),
            len(round.labeled) / size,
            metrics,
            np.sort(np.concatenate([own, audit])),
            np.bincount(round.labels[round.labels >= 0], minlength=classes),
            audit,
        )

    def _remembered(self, round: Round) -> dict[str, Any]:
        """Return the strategy's memory as the store will give it back."""
        try:
            memory: dict[str, Any] = json.loads(json.dumps(plain(round.memory)))
        except (TypeError, ValueError) as error:
            raise InvalidInput(
                f"strategy {self.entrant.name}, seed {self.seed}, cycle {round.cycle}: "
                f"round.memory must hold JSON, numbers, texts and lists of them; {error}; models "
                "belong into round.models"
            ) from None
        return memory

    def _own_metrics(self, round: Round, others: dict[str, float]) -> dict[str, float]:
        """Return what the strategy told, in names that nothing else has."""
        who = f"strategy {self.entrant.name}, seed {self.seed}, cycle {round.cycle}: round.metrics"
        clash = sorted(set(round.metrics) & set(others))
        if clash:
            raise InvalidInput(
                f"{who}[{clash[0]!r}] is what the campaign itself records; take another name"
            )
        return finite(round.metrics, who)

    def _seconds(self, round: Round) -> dict[str, float]:
        """Return what the cycle took, and begin to count the next one."""
        begun, self.since = self.since, now()
        begins, self.start = self.start, None
        parts = {**round.watch.spent, "cycle": self.since.less(begun)}
        parts |= {} if begins is None else {"start": begins}
        return {name: told for part in parts for name, told in parts[part].named(part).items()}

    def _round(self, labeled: Ints, labels: Ints, watch: Stopwatch) -> Round:
        """Train this cycle's model and return what the strategy will see."""
        campaign, cycle = self.campaign, self.cycle
        audit = np.sort(self.slices[:cycle].ravel())
        tracker = Tracker(self.campaign) if "dispersion" in self.entrant.strategy.needs else None
        self.stage(cycle, "train")
        seed = derive_seed(self.seed, cycle, "train")
        with watch.on("train"):
            seed_all(seed)
            learns = ~np.isin(labeled, audit)
            model = campaign.learner.train(
                self._begun(seed),
                campaign.pool.inputs[labeled[learns]],
                labels[learns],
                seed=seed,
                progress=None if tracker is None else tracker.add,
            )
        self.stage(cycle, "score")
        return Round(
            campaign.pool,
            labeled,
            labels,
            campaign.plan.step - self.slices[cycle : cycle + 1].size,
            cycle,
            derive_seed(self.entrant.name, self.seed, cycle),
            model,
            campaign.learner,
            dict(self.entrant.options),
            dict(self.memory),
            audit,
            np.sort(self.slices[cycle:].ravel()),
            dict(self.models),
            tracked=None if tracker is None else tracker.values(),
            watch=watch,
        )

    def _begun(self, seed: int) -> nn.Module:
        """Return the model that this cycle's training begins from."""
        if self.campaign.plan.init == "previous" and self.model is not None:
            return self.model
        return first_model(self.campaign, seed)

    def _chosen(self, round: Round, own: Ints) -> dict[str, float]:
        """Return what numbers tell about the rows labeled and chosen."""
        truth = self.campaign.pool.truth
        if truth is None or self.campaign.with_person:
            truth = np.full(self.campaign.pool.size, -1, dtype=np.int64)
            truth[round.labeled] = round.labels
        if not (truth >= 0).any():
            return {}
        return choice_metrics(
            chosen=own,
            truth=truth,
            probs=round.probs,
            embeddings=round.embeddings,
            labeled=round.labeled,
            classes=round.pool.classes,
            source=round.pool.table.get("source"),
        )

    def _audited(self, round: Round) -> tuple[Ints | None, dict[str, float]]:
        """Return the classes predicted for all audit rows, and how right those labeled are."""
        if not self.slices.size:
            return None, {}
        predicted = round.probs[self.slices.ravel()].argmax(axis=1)
        seen = self.slices[: round.cycle].size
        truth = self.labels_of(self.slices.ravel()[:seen])
        right = predicted[:seen] == truth
        before = None if self.before is None else self.before[:seen] == truth
        return predicted, audit_metrics(right, before)

    def _restore(self, last: Finished) -> None:
        cycle, state = last.record.cycle, last.state
        self.memory = dict(state["memory"])
        if state["audit_predicted"] is not None:
            self.before = np.array(state["audit_predicted"], dtype=np.int64)
        self._take_up(cycle, state["models"])

    def _take_up(self, cycle: int, names: list[str]) -> None:
        """Read the weights that the next cycle begins from, if there is one."""
        campaign = self.campaign
        if cycle >= campaign.plan.cycles:
            return
        make = campaign.learner.make_model
        if campaign.plan.init == "previous":
            self.model = self.store.load_model(self.key, cycle, _OWN, make(0))
        self.models = {
            name: self.store.load_model(self.key, cycle, name, make(0)) for name in names
        }


def first_rows(campaign: Campaign, seed: int) -> Ints:
    """Return the initial set of a run: drawn, or in a campaign with a person what is known."""
    pool = campaign.pool
    if campaign.with_person and len(pool.known):
        return pool.known
    return draw_initial(pool, campaign.plan, seed)


def truth_of(campaign: Campaign) -> Callable[[Ints], Ints]:
    """Return the function that answers from the truth."""
    truth = campaign.pool.truth
    if truth is None:
        raise InvalidInput(
            "truth: the pool has none, so a person answers; run 'labelcut campaign next' instead"
        )
    return lambda rows: truth[rows]
