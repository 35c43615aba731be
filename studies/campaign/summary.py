"""A campaign in numbers: how each strategy ends, what that is worth, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...problems.errors import InvalidInput
from .budget_curves import auc_at_budget, labels_to_reach
from .significance import ALPHA, PenaltyMatrix, holm, mean_and_std, penalty_matrix, welch_p

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...problems.arrays import Floats
    from .records import Results

BASELINE = "random"
LOWER = ("l1_true", "l1_batch", "redundancy", "repeated", "gap", "loss", "error")
"""Metrics that are better the lower they are, beside seconds."""

SECOND_MODELS = ("b", "ceal")
"""Models that strategies train beside the campaign's own; metrics of theirs end in ``_b``, …"""


@dataclass(frozen=True, eq=False)
class Curves:
    """Learning curves of a campaign's strategies.

    Parameters
    ----------
    names
        The S strategies; then as ``two-models (b)`` those of `SECOND_MODELS` that have the metric.
    values
        The metric ``(S, seeds, K)``, NaN where a run has not come.
    labeled, shares
        Labeled rows at each of the K points, and the same over N.
    metric
        What the values are.
    baseline
        Index of the strategy that others are compared with, or None.
    lower
        Whether lower values are better.
    """

    names: tuple[str, ...]
    values: Floats
    labeled: Floats
    shares: Floats
    metric: str
    baseline: int | None
    lower: bool = False

    @property
    def sign(self) -> float:
        """-1 where lower values are better, else 1: times this, higher ones are."""
        return -1.0 if self.lower else 1.0

    @property
    def means(self) -> Floats:
        """Means over seeds ``(S, K)``."""
        return mean_and_std(self.values, axis=1)[0]

    @property
    def scale(self) -> float:
        """100 where the metric is a share, which is shown in percent; 1 otherwise."""
        known = self.values[np.isfinite(self.values)]
        return 100.0 if len(known) and known.min() >= 0 and known.max() <= 1 else 1.0


@dataclass(frozen=True)
class Standing:
    """How one strategy did; what cannot be told is NaN.

    Parameters
    ----------
    name, seeds
        The strategy, and how many of its runs have come to the end.
    end, end_std
        The metric at the last point, mean and standard deviation over seeds.
    middle
        Mean at the middle point of the curve.
    auc, auc_std
        AUC@B of whole curves, B the last share.
    gain, p
        Mean at the end less the baseline's; p of Welch's test, corrected by Holm for the number of
        strategies that are compared with the baseline.
    beats
        How many others it ends better than, with a p below the level that is corrected for all
        pairs.
    labels
        Labels it takes to reach the baseline's value at the end.
    saved
        Share of the baseline's labels that this saves.
    """

    name: str
    seeds: int
    end: float
    end_std: float
    middle: float
    auc: float
    auc_std: float
    gain: float
    p: float
    beats: int
    labels: float
    saved: float


def leading_metric(known: Sequence[str]) -> str | None:
    """Return what a campaign is judged by: ``accuracy``, else the audit's, else the first.

    Seconds are none; None where there is nothing else.

    Examples
    --------
    >>> leading_metric(["l1_true", "seconds_train", "audit_accuracy"])
    'audit_accuracy'
    """
    first = [name for name in ("accuracy", "audit_accuracy") if name in known]
    return next((name for name in [*first, *known] if not name.startswith("seconds_")), None)


def shared_seeds(results: Results) -> tuple[int, ...]:
    """Return the seeds with which every strategy that has come to the last model has come there.

    Means over them compare the same initial sets, and as many runs of each. A strategy that has
    come there with no seed yet has no say.

    Examples
    --------
    >>> from labelcut.studies.campaign import Record, Results
    >>> none = np.zeros(0, np.int64)
    >>> runs = [("random", 1), ("random", 2), ("entropy", 2)]
    >>> made = [Record(name, seed, 0, 5, 0.1, {}, none, none, none) for name, seed in runs]
    >>> shared_seeds(Results(tuple(made)))
    (2,)
    """
    ended: dict[str, set[int]] = {}
    for record in results.records:
        if record.cycle == results.cycles[-1]:
            ended.setdefault(record.strategy, set()).add(record.seed)
    return tuple(sorted(set.intersection(*ended.values()))) if ended else ()


def of_seeds(results: Results, seeds: Sequence[int]) -> Results:
    """Return the records of some seeds."""
    return replace(results, records=tuple(r for r in results.records if r.seed in seeds))


def curves_of(
    results: Results,
    metric: str | None = None,
    baseline: str = BASELINE,
    *,
    lower: bool | None = None,
) -> Curves:
    """Return the learning curves that a campaign's records hold.

    Parameters
    ----------
    results
        Records.
    metric
        Which; default: as `leading_metric` says.
    baseline
        Name of the strategy to compare with; it may be missing.
    lower
        Whether lower is better; default: by the name, as `LOWER` knows it.

    Raises
    ------
    InvalidInput
        Without records, or a metric that none has.
    """
    if not results.records:
        raise InvalidInput("results: must hold a finished cycle; got none; run the campaign first")
    known = results.metrics
    name = metric or leading_metric(known)
    if name is None:
        raise InvalidInput("results: hold no metric; give a test set, an audit slice or measure")
    if name not in known:
        raise InvalidInput(f"metric: the records hold {', '.join(known)}; got {name!r}")
    results = _with_second_models(results, name)
    names = results.strategies
    return Curves(
        names,
        results.table(name),
        mean_and_std(results.table("labeled"), axis=(0, 1))[0],
        mean_and_std(results.table("share"), axis=(0, 1))[0],
        name,
        names.index(baseline) if baseline in names else None,
        name in LOWER or name.startswith("seconds_") if lower is None else lower,
    )


def _with_second_models(results: Results, metric: str) -> Results:
    """Add the metric of strategies' own models, as strategies that come last."""
    own = [
        replace(record, strategy=f"{record.strategy} ({model})", metrics={metric: value})
        for model in SECOND_MODELS
        for record in results.records
        if (value := record.metrics.get(f"{metric}_{model}")) is not None
    ]
    return replace(results, records=(*results.records, *own), named=results.strategies)


def standings(curves: Curves, alpha: float = ALPHA) -> list[Standing]:
    """Return how each strategy did, in the order of the curves.

    Parameters
    ----------
    curves
        S strategies.
    alpha
        Level of the tests.
    """
    last = curves.values[:, :, -1]
    end, end_std = mean_and_std(last)
    areas = _areas(curves)
    auc, auc_std = mean_and_std(areas)
    beats = _beaten(curves.sign * last, alpha)
    gain, p = _against(last, curves.baseline)
    labels = _labels(curves)
    own = labels[curves.baseline] if curves.baseline is not None else np.nan
    return [
        Standing(
            name=name,
            seeds=int(np.isfinite(last[at]).sum()),
            end=float(end[at]),
            end_std=float(end_std[at]),
            middle=float(curves.means[at, curves.means.shape[1] // 2]),
            auc=float(auc[at]),
            auc_std=float(auc_std[at]),
            gain=float(gain[at]),
            p=float(p[at]),
            beats=beats[at],
            labels=float(labels[at]),
            saved=float(1 - labels[at] / own),
        )
        for at, name in enumerate(curves.names)
    ]


def penalties(curves: Curves, alpha: float = ALPHA) -> PenaltyMatrix | None:
    """Return the penalty matrix of a campaign, or None where there is nothing to test.

    The first point comes before anything was chosen, with one model for all: it is left out.
    """
    seeds = np.isfinite(curves.values).sum(axis=1)
    if len(curves.names) < 2 or curves.values.shape[2] < 2 or not (seeds[:, 1:] > 1).any():
        return None
    return penalty_matrix([curves.sign * curves.values[:, :, 1:]], alpha=alpha)


def _areas(curves: Curves) -> Floats:
    if len(curves.shares) < 2:
        return np.full(curves.values.shape[:2], np.nan)
    return auc_at_budget(curves.shares, curves.values)


def _against(last: Floats, baseline: int | None) -> tuple[Floats, Floats]:
    """Return each strategy's end less the baseline's, and Holm's p of Welch's test."""
    gain, p = np.full(len(last), np.nan), np.full(len(last), np.nan)
    if baseline is not None:
        means = mean_and_std(last)[0]
        gain = means - means[baseline]
        p = welch_p(last, last[baseline])
        gain[baseline] = p[baseline] = np.nan
    return gain, holm(p)


def _beaten(last: Floats, alpha: float) -> list[int]:
    """Return how many others each strategy is above, by Welch's test corrected for all pairs."""
    size = len(last)
    one, other = np.triu_indices(size, k=1)
    p = np.ones((size, size))
    p[one, other] = p[other, one] = holm(welch_p(last[one], last[other]))
    means = mean_and_std(last)[0]
    better = (means[:, None] > means[None, :]) & (p < alpha)
    return [int(count) for count in better.sum(axis=1)]


def _labels(curves: Curves) -> Floats:
    if curves.baseline is None:
        return np.full(len(curves.names), np.nan)
    means = curves.sign * curves.means
    goal = means[curves.baseline, -1]
    return np.array([labels_to_reach(curves.labeled, mean, goal) for mean in means])
