"""Which strategy fits a pool, and what that rests on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...problems.errors import InvalidInput
from .evidence import EVIDENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .evidence import Evidence
    from .measures import Measures

TASKS = ("classification", "segmentation", "detection")
BEGINNINGS = ("scratch", "self-supervised")
DOMAINS = ("broad", "narrow")
REDUNDANT = 0.5
"""Below this share of distinct rows, or above it of repeated frames, a pool is redundant (ours)."""
HIGH = 0.05
"""Batches from this share of the pool on are a high budget: 5-5 and 10-10 in 002, 2-2 is low."""
IMBALANCED = 0.15
"""L1 score of the pool above which classes are balanced too; 0.45 is an imbalance factor of 0.1 on
half of the classes, 0.27 one of 0.3 (ours)."""
FEW, MANY = 32, 141
"""Classes up to which a pool is like CIFAR-10, and like CIFAR-100: geometric means between the 10,
100 and 200 classes that thesis chapter 5 compares (ours)."""
SMALL_TAU = 0.1


@dataclass(frozen=True)
class Situation:
    """What nobody can measure.

    Parameters
    ----------
    task
        One of `TASKS`.
    start
        What models begin from, one of `BEGINNINGS`; a supervised pretraining on other data counts
        as ``"self-supervised"``, which no paper here has compared.
    domain
        ``"narrow"`` (driving, one organ, one product) or ``"broad"`` (whatever people photograph).
    semi_supervised
        Whether models learn from unlabeled rows too.
    """

    task: str = "classification"
    start: str = "scratch"
    domain: str = "broad"
    semi_supervised: bool = False

    def __post_init__(self) -> None:
        """Check the words."""
        known = {"task": TASKS, "start": BEGINNINGS, "domain": DOMAINS}
        for name, words in known.items():
            if getattr(self, name) not in words:
                raise InvalidInput(
                    f"{name}: must be one of {', '.join(words)}; got {getattr(self, name)!r}"
                )


@dataclass(frozen=True)
class Advice:
    """A strategy, and why.

    Parameters
    ----------
    strategy, options
        As campaign files call them.
    reason
        Why this one.
    evidence
        What that rests on.
    alternatives
        Other strategies worth a campaign, and why.
    notes
        What else follows from what was measured.
    """

    strategy: str
    options: Mapping[str, Any]
    reason: str
    evidence: tuple[Evidence, ...]
    alternatives: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def advise(
    measures: Measures, situation: Situation | None = None, *, held_out: bool = False
) -> Advice:
    """Recommend a strategy for a pool.

    Redundant pools get a batch-based strategy at any budget. Diverse ones get what the budget can
    bear: a single-sample strategy, or random where the papers found no other one better. Where the
    classes of the pool are imbalanced, the choice is balanced too.

    Parameters
    ----------
    measures
        What was measured, by `measure`.
    situation
        What nobody can measure.
    held_out
        Whether predictions of labeled rows are there that correct the class mix.
    """
    told = situation or Situation()
    if is_redundant(measures):
        found = _for_redundant(measures, told)
    elif told.task == "classification" and measures.classes is not None:
        found = _by_chapter_5(measures, told)
    else:
        found = _for_diverse(measures, told)
    return _noted(_balanced(found, measures, held_out), measures, told)


def is_redundant(measures: Measures) -> bool:
    """Return whether most rows, or most frames in time, are nearly repeated."""
    redundancy = measures.redundancy
    in_time = redundancy.in_time is not None and redundancy.in_time >= REDUNDANT
    return redundancy.distinct < REDUNDANT or in_time


def _for_redundant(measures: Measures, told: Situation) -> Advice:
    redundancy = measures.redundancy
    copies = f"{redundancy.repeated:.0%} of the rows have a near-duplicate"
    if redundancy.in_time is not None:
        copies += f", {redundancy.in_time:.0%} of consecutive frames are nearly the same"
    budget = "high" if measures.step >= HIGH else "low"
    names = ["guide-redundant", f"redundant-{budget}"]
    others = {
        "uwe": f"with tau = {SMALL_TAU}: uncertainty added to the coreset",
        "bald": "for models with dropout; compare it with their own full line (002 Table 4)",
    }
    if redundancy.in_time is not None:
        names.append("video")
        others["uniform+entropy"] = "best of A2D2-3K without semi-supervised training (60.40)"
    return Advice(
        "k-center",
        {},
        f"the pool is redundant ({copies}): strategies that score each row by itself choose the "
        "same thing many times, one that covers the pool does not",
        tuple(EVIDENCE[name] for name in [*names, "small-tau"]),
        others,
    )


def _for_diverse(measures: Measures, told: Situation) -> Advice:
    if measures.step >= HIGH:
        return _single(
            "the pool is diverse and the budget high: rows that a model doubts are worth most",
            ("guide-diverse-high", "diverse-high", "tau"),
        )
    if told.domain == "narrow":
        return _single(
            "the pool is diverse, the budget low and the domain narrow: what the model learns from "
            "few labels already tells what it lacks",
            ("diverse-low-narrow",),
        )
    return _random(
        "the pool is diverse, the budget low and the domain broad: from so few labels no strategy "
        "learned what to ask for",
        ("guide-diverse-low", "diverse-low-broad"),
    )


def _by_chapter_5(measures: Measures, told: Situation) -> Advice:
    """Advise for classification of a diverse pool: when choosing pays at all (thesis ch. 5)."""
    classes, share = measures.classes, measures.share
    assert classes is not None
    pretrained = told.start == "self-supervised"
    if classes <= FEW:
        name, least = "few-classes", 0.01 if pretrained else 0.1
    elif classes <= MANY:
        name, least = "many-classes", 0.1
    else:
        name, least = "most-classes", 0.5 if pretrained else 0.1
    what = f"{classes} classes, {share:.1%} of the pool labeled after this batch"
    begun = "from self-supervised features" if pretrained else "from scratch"
    if share >= least:
        return _single(
            f"the pool is diverse; with {what} and models that begin {begun}, choosing pays",
            (name, "guide-diverse-high", "tau"),
        )
    return _random(
        f"the pool is diverse; with {what} and models that begin {begun}, choosing has not paid "
        f"below {least:.0%}",
        (name,),
    )


def _single(reason: str, names: tuple[str, ...]) -> Advice:
    others = {
        "margin": "as simple, and often as good",
        "uwe": "if the batches turn out to repeat themselves",
    }
    return Advice("entropy", {}, reason, tuple(EVIDENCE[name] for name in names), others)


def _random(reason: str, names: tuple[str, ...]) -> Advice:
    others = {
        "entropy": "once the labeled share allows it",
        "k-center": "covers what random may miss",
    }
    return Advice("random", {}, reason, tuple(EVIDENCE[name] for name in names), others)


def _balanced(advice: Advice, measures: Measures, held_out: bool) -> Advice:
    """Turn a strategy into its class-balanced variant where the pool is imbalanced."""
    balance = measures.balance
    if balance is None or balance.l1 <= IMBALANCED or advice.strategy == "random":
        return advice
    end = "-cb-corrected" if held_out else "-cb"
    rarest = int(balance.prior.argmin())
    how = "prior corrected" if balance.corrected else "as predicted"
    reason = (
        f"{advice.reason}; and its classes are imbalanced (L1 score {balance.l1:.2f} {how}, "
        f"class {rarest} is {balance.prior[rarest]:.1%} of it), so that the choice is balanced too"
    )
    return Advice(
        f"{advice.strategy}{end}",
        advice.options,
        reason,
        (*advice.evidence, EVIDENCE["balance"]),
        {advice.strategy: "if all that counts are frequent classes", **advice.alternatives},
        advice.notes,
    )


def _noted(advice: Advice, measures: Measures, told: Situation) -> Advice:
    notes = list(advice.notes)
    balance = measures.balance
    if balance is not None and balance.l1 > IMBALANCED and not balance.corrected:
        notes.append(
            "the class mix is the model's own guess; held-out predictions of the labeled rows "
            + (
                "(--held-out) correct it, and the balance of what is chosen"
                if balance.untold is None
                else f"do not tell it yet: {balance.untold}"
            )
        )
    if balance is not None and measures.per_class is not None:
        drawn = measures.budget * float(balance.prior.min())
        notes.append(
            f"{measures.per_class:.1f} labels a class in this batch; a random one would hold "
            f"{drawn:.1f} of the rarest"
        )
    reach = measures.redundancy.reach
    if reach:
        notes.append(
            f"frames stay nearly the same for {reach} frames: options = {{ spacing = {reach} }} "
            "keeps chosen ones apart"
        )
    if told.semi_supervised:
        notes.append(_semi_supervised(measures))
    return Advice(
        advice.strategy,
        advice.options,
        advice.reason,
        advice.evidence,
        advice.alternatives,
        tuple(notes),
    )


def _semi_supervised(measures: Measures) -> str:
    redundant, high = is_redundant(measures), measures.step >= HIGH
    helps = high if redundant else True
    kind = f"{'redundant' if redundant else 'diverse'} pool, {'high' if high else 'low'} budget"
    if not helps:
        return f"semi-supervised training added nothing on a {kind} (002 Table 6)"
    return f"semi-supervised training was part of the best on a {kind} (002 Table 6)"
