"""Temporal coherence: the detector's own mistakes as a labeling of least energy (thesis ch. 2)."""

from __future__ import annotations

from copy import copy
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .arrays import Ints, Mask, as_integers, as_number, freeze, to_numpy
from .base import Certificate, Evaluation, Problem, Sense
from .coherence_inputs import as_offsets, as_overlap, as_present, as_tracked
from .coherence_weights import CoherenceWeights, as_weights, detection_costs, edge_costs
from .error_estimate import (
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    IGNORED,
    TRUE_NEGATIVE,
    TRUE_POSITIVE,
    ErrorEstimate,
)
from .errors import InfeasibleSelection, InvalidInput
from .fingerprint import fingerprint, hash_array
from .linking import link

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from .detections import Detections

FINE = 1 << 20
"""Costs that are no whole numbers are rounded to multiples of 1 / FINE."""
LARGEST = 1 << (8 * np.dtype("l").itemsize - 2)
"""What capacities may sum to: a C long holds them, and sums of two."""


class TemporalCoherence(Problem[ErrorEstimate]):
    r"""Which detections are false positives, and which candidates are missed objects.

    Detections and candidates are nodes of a graph (`problems/linking.py`). A detection is TP or FP,
    a candidate TN or FN, and the labeling of least energy is sought:

    .. math:: E(l) = \sum_v φ_v(l_v) + \sum_{(v,w)} ψ(l_v, l_w)

    where FP and FN cost their node's weight (1 in the thesis), and an edge costs its weight (1)
    unless its ends are TP-TP, TP-FN, FP-FP, FP-TN, FN-FN or TN-TN (eq. 2.1 to 2.4).

    In the variable "an object is here", :math:`x = 1` for TP and FN, 0 for FP and TN, the edges
    without cost are those of equal ends:

    .. math:: E(x) = \sum_d a_d (1 - x_d) + \sum_c p_c x_c + \sum_{(v,w)} w_{vw} |x_v - x_w|

    Every pairwise term is a Potts term, hence submodular, and one minimum cut is optimal. In the
    variable "the output is correct" (TP and TN), which the thesis names, an edge between detection
    and candidate costs most where its ends are equal: it is supermodular, and no single cut solves
    it.

    Costs are rounded to multiples of 1/`scale` and all sums are integers, so that ties, which are
    common with unit costs, stay ties, and the value of the flow equals the energy exactly.

    Parameters
    ----------
    detections
        M detections, from `make_detections` or a reader of files.
    tracked
        Where a tracker finds each detection at each of `offsets`: left, top, width, height in
        pixels ``(M, T, 4)``; NaN where the video has no such frame or the object was lost. Rows
        that cannot be used are not looked at.
    offsets
        T numbers of frames, such as ``(-3, -2, -1, 1, 2, 3)``.
    min_score
        Detections below take no part; the thesis rejects below 0.5.
    link_iou, cluster_iou
        Overlap that links detections, and that joins tracked boxes to one candidate; both are 0.5,
        which is ours: the thesis gives none.
    weights
        ``"paper"`` (unit costs), ``"weighted"``, or `CoherenceWeights`.

    Raises
    ------
    InvalidInput
        Arrays that do not fit together, thresholds out of range, weights too large for integers.

    Examples
    --------
    A flash in one frame, which the tracker finds again nowhere, beside an object seen in all three:

    >>> from labelcut.problems.detections import make_detections
    >>> still, flash = [10, 10, 20, 40], [200, 50, 20, 20]
    >>> boxes, score = [still, still, still, flash], [0.9, 0.8, 0.9, 0.7]
    >>> detections = make_detections(boxes, score, [0, 1, 2, 1])
    >>> tracked = np.repeat(detections.boxes[:, None], 2, axis=1)
    >>> problem = TemporalCoherence(detections, tracked, (-1, 1))
    >>> problem
    TemporalCoherence(4 detections, 2 candidates, 2 links, 1 videos)
    >>> problem.evaluate(problem.as_present(["TP", "TP", "TP", "FP"], ["TN", "TN"])).objective
    1.0
    """

    kind: ClassVar[str] = "temporal-coherence"
    sense: ClassVar[Sense] = Sense.MIN
    term_names: ClassVar[tuple[str, ...]] = ("false_positives", "false_negatives", "disagreement")

    def __init__(
        self,
        detections: Detections,
        tracked: Any,
        offsets: Sequence[int],
        *,
        min_score: float = 0.0,
        link_iou: float = 0.5,
        cluster_iou: float = 0.5,
        weights: CoherenceWeights | str = "paper",
    ) -> None:
        self.detections = detections
        self.offsets = as_offsets(offsets)
        self.tracked = as_tracked(tracked, detections, len(self.offsets))
        self.min_score = as_number(min_score, "min_score")
        if np.isnan(self.min_score):
            raise InvalidInput(f"min_score: must be a number; got {min_score}; 0 leaves none out")
        self.link_iou = as_overlap(link_iou, "link_iou")
        self.cluster_iou = as_overlap(cluster_iou, "cluster_iou")
        self.weights = as_weights(weights)
        self.used: Mask = freeze(detections.used & (detections.score >= self.min_score))
        self.graph = link(
            detections,
            self.used,
            self.tracked,
            self.offsets,
            link_iou=self.link_iou,
            cluster_iou=self.cluster_iou,
        )
        self._set_costs()

    def reweighted(self, weights: CoherenceWeights | str) -> TemporalCoherence:
        """Return the same graph with other costs; the graph is shared, not built again.

        Examples
        --------
        >>> from labelcut.problems.detections import make_detections
        >>> detections = make_detections([[0, 0, 9, 9]], [0.9], [0])
        >>> problem = TemporalCoherence(detections, np.full((1, 1, 4), np.nan), (1,))
        >>> problem.reweighted("weighted").weights.score
        3.0
        """
        other = copy(self)
        vars(other).pop("fingerprint", None)
        other.weights = as_weights(weights)
        other._set_costs()
        return other

    def _set_costs(self) -> None:
        absent = detection_costs(self.weights, self.detections, self.used)
        missed = np.full(self.graph.n_candidates, float(self.weights.candidate))
        between = edge_costs(self.weights, self.detections, self.used, self.graph)
        parts = (absent, missed, between)
        whole = all((part == np.floor(part)).all() for part in parts)
        self.scale = 1 if whole else FINE
        total = sum(float(part.sum()) for part in parts) * self.scale
        if total >= LARGEST / 4:
            raise InvalidInput(
                f"weights: capacities sum to {total:.3g}, beyond the integers of the cut "
                f"({LARGEST / 4:.3g}); take smaller weights"
            )
        none = np.zeros(len(self.detections), dtype=np.int64)
        costs = [np.rint(part * self.scale).astype(np.int64) for part in parts]
        self.absent_cost: Ints = freeze(np.concatenate([costs[0], 0 * costs[1]]))
        self.present_cost: Ints = freeze(np.concatenate([none, costs[1]]))
        self.edge_cost: Ints = freeze(costs[2])

    @property
    def n_nodes(self) -> int:
        """Detections, then candidates: M + C."""
        return len(self.detections) + self.graph.n_candidates

    @cached_property
    def edges(self) -> Ints:
        """Pairs of nodes: links, then a candidate and its origin ``(E + O, 2)``."""
        origins = self.graph.origins + np.array([len(self.detections), 0])
        return freeze(np.concatenate([self.graph.links, origins]))

    @cached_property
    def node_video(self) -> Ints:
        """Video of each node ``(M + C,)``."""
        ends = self.detections.offsets[1:]
        found = np.searchsorted(ends, self.graph.frame_row, side="right")
        return freeze(np.concatenate([self.detections.video, found]))

    @cached_property
    def node_frame(self) -> Ints:
        """Frame of each node, a row among all frames ``(M + C,)``."""
        return freeze(np.concatenate([self.detections.frame_row, self.graph.frame_row]))

    @cached_property
    def fingerprint(self) -> str:
        """Hex blake2b over kind, parameters and values; not over names or paths."""
        table = self.detections
        parameters = {
            "min_score": self.min_score,
            "link_iou": self.link_iou,
            "cluster_iou": self.cluster_iou,
            "offsets": list(self.offsets),
            "sizes": [video.size for video in table.videos],
            **asdict(self.weights),
        }
        arrays = {
            "boxes": table.boxes,
            "score": table.score,
            "video": table.video,
            "frame": table.frame,
            "label": table.label,
            "used": table.used,
            "lengths": table.lengths,
            "tracked": self.tracked,
        }
        hashes = [hash_array(name, values) for name, values in arrays.items()]
        return fingerprint(self.kind, parameters, hashes)

    def as_present(self, types: Any, candidate_types: Any) -> Mask:
        """Return "an object is here" for each node, from the types of detections and candidates.

        Raises
        ------
        InfeasibleSelection
            A type that the node cannot have, or another number of types than of nodes.
        """
        return as_present(types, candidate_types, self.used, self.graph.n_candidates)

    def present(self, answer: ErrorEstimate | Any) -> Mask:
        """Return "an object is here" ``(M + C,)`` of an estimate, or of such a mask itself."""
        if isinstance(answer, ErrorEstimate):
            return self.as_present(answer.types, answer.candidate_types)
        mask = to_numpy(answer, "answer")
        if mask.shape != (self.n_nodes,) or mask.dtype != np.bool_:
            raise InfeasibleSelection(
                f"answer: must be a mask of {self.n_nodes} nodes; got {mask.dtype} {mask.shape}"
            )
        return mask

    def energy(self, present: Mask) -> tuple[int, int, int]:
        """Return the cost of FPs, of FNs and of disagreement, in units of 1/`scale`."""
        one, other = self.edges.T
        return (
            int(self.absent_cost[~present].sum()),
            int(self.present_cost[present].sum()),
            int(self.edge_cost[present[one] != present[other]].sum()),
        )

    def evaluate(self, answer: ErrorEstimate | Any) -> Evaluation:
        """Return the energy and its three parts."""
        parts = self.energy(self.present(answer))
        terms = {n: p / self.scale for n, p in zip(self.term_names, parts, strict=True)}
        return Evaluation(sum(parts) / self.scale, terms)

    def check(self, answer: ErrorEstimate | Any) -> None:
        """Raise `InfeasibleSelection` unless every node has one of its two types."""
        self.present(answer)

    def prove(self, certificate: Certificate) -> float | None:
        r"""Return the bound that a flow on the edges proves by itself.

        With :math:`|f_{vw}| ≤ w_{vw}` and :math:`o_v` what flows out of v over edges,

        .. math:: E(x) ≥ \sum_v a_v (1 - x_v) + p_v x_v + o_v x_v ≥ \sum_v \min(a_v, p_v + o_v).

        Flow beyond an edge's weight counts as that weight, so that no certificate proves too much.
        """
        if certificate.kind != "flow":
            return None
        try:
            flow = as_integers(certificate.values["flow"], "flow")
        except (KeyError, InvalidInput):
            return None
        if flow.shape != self.edge_cost.shape:
            return None
        flow = np.clip(flow, -self.edge_cost, self.edge_cost)
        out = np.zeros(self.n_nodes, dtype=np.int64)
        np.add.at(out, self.edges[:, 0], flow)
        np.subtract.at(out, self.edges[:, 1], flow)
        return int(np.minimum(self.absent_cost, self.present_cost + out).sum()) / self.scale

    def why_infeasible(self) -> str | None:
        """Return None: every labeling is allowed."""
        return None

    def baseline(self) -> float | None:
        """Return the energy of taking the detector at its word: all TP, nothing missed."""
        return self.evaluate(self.trusting()).objective

    def trusting(self) -> Mask:
        """Return the labeling that takes every detection for true and every candidate for none."""
        return np.arange(self.n_nodes) < len(self.detections)

    def notes(self) -> Mapping[str, Any]:
        """Return what a solution's ``info`` should say of the problem, by topic."""
        left_out = int((~self.used).sum())
        return {
            "min_score": self.min_score,
            "ignored_detections": left_out,
            "energy_unit": 1.0 / self.scale,
            "rounding": 0.0 if self.scale == 1 else 0.5 * self._terms() / self.scale,
        }

    def _terms(self) -> int:
        return self.n_nodes + len(self.edge_cost)

    def kept(self, answer: Any) -> Mask:
        """Return an answer as a search keeps it: "an object is here" for each node."""
        mask: Mask = freeze(self.present(answer).copy())
        return mask

    def solution(
        self,
        answer: Mask | None,
        *,
        least: Mask | None = None,
        most: Mask | None = None,
        **fields: Any,
    ) -> ErrorEstimate:
        """Return an answer with its proof.

        Parameters
        ----------
        answer
            "An object is here" for each node, or None without an answer.
        least, most
            The least and the largest optimal set of objects, where they are known.
        fields
            Those of every `Solution`.
        """
        if answer is None:
            none = freeze(np.empty(0, dtype="<U2"))
            return ErrorEstimate(types=none, candidate_types=none, **fields)
        size = len(self.detections)
        types = np.where(answer[:size], TRUE_POSITIVE, FALSE_POSITIVE)
        types[~self.used] = IGNORED
        others = np.where(answer[size:], FALSE_NEGATIVE, TRUE_NEGATIVE)
        sure = None if least is None or most is None else freeze(least == most)
        return ErrorEstimate(
            types=freeze(types),
            candidate_types=freeze(others),
            certain=None if sure is None else sure[:size],
            candidate_certain=None if sure is None else sure[size:],
            candidates=self.candidate_table(),
            table=self._frames(answer, least, most),
            **fields,
        )

    def candidate_table(self) -> dict[str, Any]:
        """Return video, frame (the user's number), class and box of each candidate."""
        frames = self.detections.frame_table
        columns = {name: column[self.graph.frame_row] for name, column in frames.items()}
        columns["class"] = np.array(self.detections.classes, dtype=str)[self.graph.label]
        for name, column in zip(
            ("left", "top", "width", "height"), self.graph.boxes.T, strict=True
        ):
            columns[name] = column
        return {name: freeze(column) for name, column in columns.items()}

    def _frames(self, answer: Mask, least: Mask | None, most: Mask | None) -> dict[str, Any]:
        wrong, missed = self.count(answer)
        columns = {**self.detections.frame_table, "fp": wrong, "fn": missed}
        if least is not None and most is not None:
            columns["fp_most"], columns["fn_least"] = self.count(least)
            columns["fp_least"], columns["fn_most"] = self.count(most)
        return {name: freeze(column) for name, column in columns.items()}

    def count(self, present: Mask) -> tuple[Ints, Ints]:
        """Return how many FPs and FNs a labeling has in each frame ``(F,)``."""
        size, frames = len(self.detections), self.detections.n_frames
        wrong = self.detections.frame_row[~present[:size] & self.used]
        missed = self.graph.frame_row[present[size:]]
        return np.bincount(wrong, minlength=frames), np.bincount(missed, minlength=frames)

    def save(self, path: str | Path, *, solve: Mapping[str, Any] | None = None) -> None:
        """Write a problem file that `load` and the command line take (`save_video_problem`)."""
        from .video_saving import save_video_problem

        save_video_problem(self, path, solve=solve)

    def __repr__(self) -> str:
        """Return sizes, not the arrays."""
        return (
            f"TemporalCoherence({len(self.detections)} detections, {self.graph.n_candidates} "
            f"candidates, {len(self.graph.links)} links, {len(self.detections.videos)} videos)"
        )
