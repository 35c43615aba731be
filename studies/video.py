"""From a video problem file to estimates, frames to annotate, and what they are worth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..models.trackers import track_flow, track_static
from ..problems.budgeted import BudgetedSelection
from ..problems.constraints import Constraint, GroupLimit, Spacing
from ..problems.errors import InvalidInput
from ..problems.frame_utilities import COUNTS, FRAME_BASELINES, count_utility, soft_utility
from ..problems.memory import require_memory
from ..problems.temporal_coherence import TemporalCoherence
from ..problems.true_errors import TrueErrors, find_errors
from ..solvers import solve, sweep_trust
from ..solvers.registry import choose

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..models.optical_flow import VideoFlow
    from ..problems.arrays import Floats
    from ..problems.detections import Detections
    from ..problems.error_estimate import ErrorEstimate
    from ..problems.selection import Selection
    from ..problems.video_files import Framing, Tracking, VideoFile

METHODS = ("exact", "threshold", "random")
ORACLE = "oracle"
"""Frames by their true mistakes (thesis section 2.3.1): the share that estimates are held to."""


def track(
    detections: Detections, tracking: Tracking, progress: Callable[[str], None] | None = None
) -> Floats:
    """Return where each detection is in the frames around it ``(M, 2K, 4)``.

    Videos without images, or without flow, stand still.

    Raises
    ------
    InvalidInput
        What the tracker says of images or parameters, or that no video has images.
    NotEnoughMemory
        If boxes at so many offsets do not fit.
    """
    # Boxes as they are tracked and as they are linked, and the offsets themselves.
    forecast = 2 * tracking.reach * (96 * len(detections) + 64)
    require_memory(forecast, f"[tracker] reach {tracking.reach}", "3 frames are usual")
    table = (detections.boxes, detections.video, detections.frame, detections.lengths)
    if tracking.kind == "static":
        return track_static(*table, reach=tracking.reach)
    if not any(video.images for video in detections.videos):
        raise InvalidInput(
            f"[tracker] kind: {tracking.kind!r} needs images, and no video has any; put them where "
            "the format has them, or take kind 'static'"
        )
    try:
        if tracking.kind == "siamese":
            return _by_looks(detections, tracking)
        return track_flow(
            *table, _flows(detections, tracking, progress), reach=tracking.reach, at=tracking.at
        )
    except (ImportError, ValueError) as error:
        raise InvalidInput(f"[tracker] {error}") from None


def _by_looks(detections: Detections, tracking: Tracking) -> Floats:
    from ..models.siamese import load_weights, small_backbone, track_siamese

    backbone = small_backbone()
    if tracking.weights is not None:
        load_weights(backbone, tracking.weights)
    images = [video.images or (None,) * video.length for video in detections.videos]
    table = (detections.boxes, detections.video, detections.frame, detections.lengths)
    return track_siamese(*table, images, reach=tracking.reach, backbone=backbone, normalized=True)


def _flows(
    detections: Detections, tracking: Tracking, progress: Callable[[str], None] | None
) -> list[VideoFlow | None]:
    from ..models.optical_flow import compute_flow

    flows: list[VideoFlow | None] = []
    for at, video in enumerate(detections.videos):
        if progress is not None:
            progress(f"flow of {video.name} ({at + 1} of {len(detections.videos)})")
        found = None
        if any(image is not None for image in video.images):
            found = compute_flow(
                video.images,
                height=tracking.height,
                preset=tracking.preset,
                cache=tracking.cache,
            )
        flows.append(found)
    return flows


def video_problem(
    content: VideoFile, progress: Callable[[str], None] | None = None
) -> TemporalCoherence:
    """Run the tracker that a video problem file names, and return its problem."""
    tracked = content.tracked
    if tracked is None:
        tracked = track(content.detections, content.tracking, progress)
    return TemporalCoherence(
        content.detections, tracked, content.tracking.offsets, **content.parameters
    )


def frame_problem(
    problem: TemporalCoherence, utility: Floats, framing: Framing
) -> BudgetedSelection:
    """Return the choice of frames: its rows are all frames of all videos, not detections.

    Its table has their ``video`` and ``frame`` (the user's number). Ties are broken by the seed, as
    in the thesis (section 2.3.1), since counts tie often.
    """
    table = problem.detections.frame_table
    codes = np.repeat(np.arange(len(problem.detections.videos)), problem.detections.lengths)
    rules: list[Constraint] = []
    if framing.spacing:
        rules.append(Spacing(codes, table["frame"], framing.spacing))
    if framing.at_most is not None:
        rules.append(GroupLimit(codes, at_most=framing.at_most))
    return BudgetedSelection(utility, framing.budget, constraints=rules, ties="random", table=table)


def frame_utility(
    problem: TemporalCoherence, estimate: ErrorEstimate, what: str, *, time_limit: float = 60.0
) -> Floats:
    """Return what frames are worth ``(F,)``.

    Parameters
    ----------
    problem, estimate
        What was solved, and its answer.
    what
        ``"fp"``, ``"fn"`` or ``"both"`` are counts of the estimate (the thesis takes FPs).
        ``"soft"`` counts by the share of levels of a trust sweep. ``"mixed"`` adds the FPs at unit
        costs and the soft counts of the weighted costs, whatever the problem's own are: of what was
        tried on real video, it follows the true mistakes best. ``"confidence"``, ``"entropy"`` and
        ``"margin"`` are the detector's own uncertainty.
    time_limit
        Seconds for each solve and each sweep that the utility takes.
    """
    if what in FRAME_BASELINES:
        return FRAME_BASELINES[what](problem.detections)
    if what == "soft":
        return _soft(problem, time_limit)
    if what == "mixed":
        unit = solve(
            problem.reweighted("paper"), time_limit=time_limit, options={"certificate": False}
        )
        return count_utility(unit, "fp") + _soft(problem.reweighted("weighted"), time_limit)
    return count_utility(estimate, what)


def _soft(problem: TemporalCoherence, time_limit: float) -> Floats:
    sweep = sweep_trust(problem, time_limit=time_limit)
    return soft_utility(problem, sweep.false_positive(), sweep.false_negative())


def choose_frames(
    problem: TemporalCoherence, utility: Floats, framing: Framing, **limits: Any
) -> Selection:
    """Solve `frame_problem`; `limits` are those of `labelcut.solve`."""
    return solve(frame_problem(problem, utility, framing), **limits)


@dataclass(frozen=True)
class EstimateQuality:
    """How an estimate compares with the truth; None where a share has no parts or no truth.

    Rows of frame baselines and of the oracle estimate nothing: they have a correlation and a share.

    Parameters
    ----------
    method
        What made the estimate, or what frames were chosen by.
    energy
        Its energy.
    fp, fn
        How many it says there are.
    fp_precision, fp_recall, fn_precision, fn_recall
        Of detections that it calls false, and of candidates that it calls missed. Recall of FNs is
        over the candidates that lie on a missed object.
    correlation
        Rank correlation over frames of the numbers of mistakes, estimated and true.
    share
        Part of all true mistakes that lies in the chosen frames.
    seconds
        Time to solve.
    """

    method: str
    energy: float | None = None
    fp: int | None = None
    fn: int | None = None
    fp_precision: float | None = None
    fp_recall: float | None = None
    fn_precision: float | None = None
    fn_recall: float | None = None
    correlation: float | None = None
    share: float | None = None
    seconds: float | None = None


def compare_estimates(
    problem: TemporalCoherence,
    truth: Detections | None = None,
    framing: Framing | None = None,
    *,
    methods: tuple[str, ...] | None = None,
    seeds: Sequence[int] = (0,),
    **limits: Any,
) -> list[EstimateQuality]:
    """Return how graph cut, score threshold and chance do, beside the truth where it is known.

    With truth, frames by the detector's own uncertainty and by the truth itself stand beside them.

    Parameters
    ----------
    problem
        What to solve.
    truth
        True objects of the same videos, or None.
    framing
        Which frames to choose by each estimate, or None. Each method's frames are chosen by its own
        count of mistakes, except that ``random``'s are drawn.
    methods
        Of `labelcut.solve`, and ``"confidence"``, ``"entropy"``, ``"margin"`` and ``"oracle"``,
        which choose frames only and need truth; default: ``exact``, ``threshold`` and ``random``,
        and with truth all of them.
    seeds
        Of methods that draw, and of ties between frames: a row for each, where it can differ. What
        does not draw is solved once.
    limits
        As in `labelcut.solve`.

    Raises
    ------
    InvalidInput
        A frame baseline or the oracle without truth, or what `labelcut.solve` raises.
    """
    errors = None
    if truth is not None:
        errors = find_errors(problem.detections, truth, problem.graph, used=problem.used)
    frames_only = (*FRAME_BASELINES, ORACLE)
    if methods is None:
        methods = METHODS if errors is None else (*METHODS, *frames_only)
    if not len(seeds):
        raise InvalidInput("seeds: at least one is needed; got none; pass (0,)")
    against = _Against(problem, errors, framing, limits)
    # Ties between frames are drawn, so that the share can differ where nothing else does.
    ties = framing is not None and errors is not None
    rows: list[list[EstimateQuality]] = [[] for _ in seeds]
    for method in methods:
        by_frames = method in frames_only
        draws = not by_frames and choose(problem, method)[0].random
        for at, seed in enumerate(seeds if draws or ties else seeds[:1]):
            if at == 0 or draws:
                rated = against.frames(method) if by_frames else against.estimate(method, seed)
            rows[at].append(replace(rated[0], share=against.share(rated[1], seed)))
    return [row for some in rows for row in some]


@dataclass(frozen=True, eq=False)
class _Against:
    """What estimates are measured against, and how frames are chosen by them."""

    problem: TemporalCoherence
    errors: TrueErrors | None
    framing: Framing | None
    limits: Mapping[str, Any]

    @property
    def real(self) -> Floats:
        """True mistakes of each frame."""
        assert self.errors is not None
        return np.asarray(self.errors.fp + self.errors.fn, dtype=np.float64)

    def frames(self, method: str) -> tuple[EstimateQuality, Floats]:
        """Return how frames do by a baseline or the truth, and their utility."""
        if self.errors is None:
            raise InvalidInput(
                f"method: {method!r} only ranks frames, which is measured against truth; give truth"
            )
        own = self.real if method == ORACLE else FRAME_BASELINES[method](self.problem.detections)
        return EstimateQuality(method, correlation=_rank_correlation(own, self.real)), own

    def estimate(self, method: str, seed: int) -> tuple[EstimateQuality, Floats | None]:
        """Return how a method's estimate does, and the utility of frames by it, where asked for."""
        found, errors = solve(self.problem, method, seed=seed, **self.limits), self.errors
        wrong, missed = found.types == "FP", found.candidate_types == "FN"
        known: dict[str, float | None] = {}
        utility = None
        if errors is not None and found.table:
            counted = (found.table["fp"] + found.table["fn"]).astype(np.float64)
            known = {
                "fp_precision": _part(errors.false_positive, wrong),
                "fp_recall": _part(wrong, errors.false_positive),
                "fn_precision": _part(errors.false_negative, missed),
                "fn_recall": _part(missed, errors.false_negative),
                "correlation": _rank_correlation(counted, self.real),
            }
            if self.framing is not None:
                utility = self._utility(found, self.framing)
        quality = EstimateQuality(
            method=found.method,
            energy=found.objective,
            fp=int(wrong.sum()),
            fn=int(missed.sum()),
            seconds=found.runtime,
            **known,
        )
        return quality, utility

    def _utility(self, estimate: ErrorEstimate, framing: Framing) -> Floats:
        """Return what a method's own estimate says of frames."""
        if estimate.method == "random":
            return np.zeros(self.problem.detections.n_frames)
        # All but the counts are made by cuts, or of no estimate.
        own = framing.utility in COUNTS or estimate.method == "exact"
        what = framing.utility if own else "both"
        limit = self.limits.get("time_limit", 60.0)
        return frame_utility(self.problem, estimate, what, time_limit=limit)

    def share(self, utility: Floats | None, seed: int) -> float | None:
        """Return which part of all true mistakes is in the frames that a utility chooses."""
        if utility is None or self.framing is None or self.errors is None:
            return None
        within = {name: value for name, value in self.limits.items() if name == "time_limit"}
        chosen = choose_frames(self.problem, utility, self.framing, seed=seed, **within)
        total = float(self.real.sum())
        if chosen.objective is None or total == 0:
            return None
        return float(self.real[chosen.indices].sum()) / total


def _part(true: Any, of: Any) -> float | None:
    """Return which share of some rows is true, None of no rows."""
    return float(np.asarray(true)[np.asarray(of)].mean()) if np.any(of) else None


def _rank_correlation(one: Floats, other: Floats) -> float | None:
    """Return Spearman's rank correlation, None where one side is constant."""
    from ..problems.detection_columns import score_rank

    ranks = [score_rank(values) for values in (one, other)]
    if any(len(rank) < 2 or np.ptp(rank) == 0 for rank in ranks):
        return None
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
