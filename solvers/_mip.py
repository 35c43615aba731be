"""Linear and mixed-integer models, solved by HiGHS in a child process that can be killed.

HiGHS does not keep a time limit by itself: it looks at the clock between steps that may take
minutes. Here the limit is kept by killing its process, and what it reported until then remains.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..problems.arrays import Floats
from ..problems.errors import InvalidInput
from ._clock import Clock
from ._mip_child import Child, Frame, SolverError
from ._mip_model import FEASIBILITY, LinearModel, feasible_start

__all__ = ["LinearModel", "MipResult", "MipStatus", "MipUpdate", "SolverError", "solve_model"]

Option = bool | int | float | str

DEFAULT_OPTIONS: Mapping[str, Option] = MappingProxyType(
    {"threads": 1, "mip_rel_gap": 0.0, "mip_abs_gap": 1e-9}
)


class MipStatus(Enum):
    """How a solve ended."""

    OPTIMAL = "optimal"
    """The search is complete, up to the gaps in the options."""
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    TIME = "time"
    STOPPED = "stopped"
    """The callback asked for the end."""
    LIMIT = "limit"
    """A limit given in the options was met, such as ``mip_max_nodes``."""


ENDS: Mapping[str, MipStatus] = MappingProxyType(
    {
        "kOptimal": MipStatus.OPTIMAL,
        "kInfeasible": MipStatus.INFEASIBLE,
        "kUnbounded": MipStatus.UNBOUNDED,
        "kTimeLimit": MipStatus.TIME,
        "kObjectiveBound": MipStatus.LIMIT,
        "kObjectiveTarget": MipStatus.LIMIT,
        "kIterationLimit": MipStatus.LIMIT,
        "kSolutionLimit": MipStatus.LIMIT,
    }
)


@dataclass(frozen=True, eq=False)
class MipUpdate:
    """What the solver knows after a new incumbent or a better bound.

    ``values`` is set when an incumbent is new; ``objective`` and ``bound`` are the best so far.
    """

    elapsed: float
    objective: float | None
    bound: float | None
    values: Floats | None


@dataclass(frozen=True, eq=False)
class MipResult:
    r"""Outcome of `solve_model`.

    Attributes
    ----------
    status
        How the solve ended.
    values
        Best feasible point ``(n,)`` or None; integers come as HiGHS gives them, within 1e-6.
    objective
        Its objective as HiGHS computed it, or None.
    bound
        Best lower bound that HiGHS claims, or None. It is not re-checked; for an LP it is the
        optimum.
    row_duals
        For an LP solved to optimality ``(m,)``, otherwise None: the change of the optimum when
        the binding side of a row grows by one. So they are at least 0 where ``row_lower`` binds and
        at most 0 where ``row_upper`` binds, like the marginals of `scipy.optimize.linprog`, and
        :math:`\text{offset} + \sum_{y_i > 0} y_i l_{r,i} + \sum_{y_i < 0} y_i u_{r,i}
        + \sum_j \min_{l_j \le x_j \le u_j} (c - A^\top y)_j x_j` is a lower bound for any ``y``.
    nodes
        Branch-and-bound nodes, 0 when the child was killed.
    seconds
        Wall-clock seconds, start of the child included.
    peak_bytes
        Peak resident memory of the child, or None where the system does not tell.
    """

    status: MipStatus
    values: Floats | None
    objective: float | None
    bound: float | None
    row_duals: Floats | None
    nodes: int
    seconds: float
    peak_bytes: int | None


def solve_model(
    model: LinearModel,
    *,
    time_limit: float,
    start: NDArray[Any] | None = None,
    options: Mapping[str, Option] = MappingProxyType({}),
    on_update: Callable[[MipUpdate], bool | None] | None = None,
) -> MipResult:
    """Minimize a model with HiGHS in a child process.

    Parameters
    ----------
    model
        The model; its arrays are streamed to the child, not copied here.
    time_limit
        Seconds of wall-clock for everything: start of the child, transfer and solve. The child is
        killed when they are over. ``math.inf`` for no limit.
    start
        ``(n,)`` feasible point, within 1e-6. It is the first incumbent, its integers rounded.
    options
        HiGHS options by name, over the defaults ``threads=1``, ``mip_rel_gap=0``,
        ``mip_abs_gap=1e-9``. The same ``random_seed`` gives the same run on any number of threads.
    on_update
        Called in the calling thread with each new incumbent and, at most every 0.1 s, each better
        bound; a return of True ends the solve. Incumbents that arrive while the limit passes are
        only in the result.

    Returns
    -------
    MipResult
        Status, best point and bound.

    Raises
    ------
    InvalidInput
        If an argument breaks a rule, or `start` the model.
    SolverError
        If HiGHS refuses the model or an option, or its process dies.

    Notes
    -----
    Any exception here, KeyboardInterrupt included, kills the child before it goes on; callers who
    want to keep the incumbents take them from `on_update`.
    """
    clock = Clock(time_limit)
    if not time_limit > 0:
        raise InvalidInput(f"time_limit: {time_limit}, must be more than 0 seconds")
    if "time_limit" in options:
        raise InvalidInput("options: holds time_limit; pass it as the argument time_limit")
    best = _Best()

    def result(status: MipStatus, end: Frame | None, peak: int | None) -> MipResult:
        header, arrays = end or ({}, {})
        return MipResult(
            status=status,
            values=best.values,
            objective=best.objective,
            bound=best.bound,
            row_duals=arrays.get("row_duals") if status is MipStatus.OPTIMAL else None,
            nodes=header.get("nodes", 0),
            seconds=clock.elapsed(),
            peak_bytes=peak,
        )

    def tell(new: bool, improved: bool) -> bool:
        if on_update is None or not (new or improved):
            return False
        values = best.values if new else None
        return bool(on_update(MipUpdate(clock.elapsed(), best.objective, best.bound, values)))

    if start is not None:
        start = feasible_start(model, start)
        objective = float(model.cost @ start) + model.offset
        if tell(*best.take({"objective": objective}, {"x": start})):
            return result(MipStatus.STOPPED, None, None)
    if model.cost.size == 0:
        # HiGHS calls every model without columns "empty", whatever its rows ask for.
        return result(_solve_without_columns(model, best), None, None)

    status, end = MipStatus.TIME, None
    with Child(_request(model, start, options, clock)) as child:
        while clock.remaining() > 0 and end is None:
            frame = child.receive(min(clock.remaining(), 1.0))
            if frame is None:
                continue
            if frame[0]["kind"] == "end":
                end = frame
            if tell(*best.take(*frame)) and end is None:
                status = MipStatus.STOPPED
                break
    if end is None and status is MipStatus.TIME:
        # What arrived while the callback was at work still counts.
        for frame in child.rest():
            best.take(*frame)
            end = frame if frame[0]["kind"] == "end" else end
    if end is not None:
        name = end[0]["status"]
        if name not in ENDS:
            raise SolverError(f"HiGHS ended with the status {name}")
        status = ENDS[name]
    return result(status, end, child.peak)


class _Best:
    """The best point and bound so far."""

    def __init__(self) -> None:
        self.values: Floats | None = None
        self.objective: float | None = None
        self.bound: float | None = None

    def take(self, header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> tuple[bool, bool]:
        """Take a report in; say whether the incumbent and whether the bound got better."""
        objective, bound = header["objective"], header.get("bound")
        usable = "x" in arrays and header.get("status") not in ("kUnbounded", "kInfeasible")
        new = usable and (self.objective is None or objective < self.objective)
        if new:
            self.values, self.objective = arrays["x"], objective
        improved = bound is not None and (self.bound is None or bound > self.bound)
        if improved:
            self.bound = bound
        return new, improved


def _request(
    model: LinearModel, start: Floats | None, options: Mapping[str, Option], clock: Clock
) -> Frame:
    plain = {name: _plain(value) for name, value in {**DEFAULT_OPTIONS, **options}.items()}
    header = {
        "options": plain,
        "offset": float(model.offset),
        "mip": bool(model.integer.any()),
        "format": "kRowwise" if model.matrix.format == "csr" else "kColwise",
        "deadline": time.time() + clock.remaining(),
    }
    arrays: dict[str, NDArray[Any]] = {
        name: getattr(model, name)
        for name in ("cost", "lower", "upper", "row_lower", "row_upper", "integer")
    }
    arrays["indptr"] = np.ascontiguousarray(model.matrix.indptr[:-1], dtype=np.int32)
    arrays["indices"] = np.ascontiguousarray(model.matrix.indices, dtype=np.int32)
    arrays["data"] = np.ascontiguousarray(model.matrix.data, dtype=np.float64)
    if start is not None:
        arrays["start"] = start
    return header, arrays


def _plain(value: Option) -> Option:
    return cast("Option", value.item()) if isinstance(value, np.generic) else value


def _solve_without_columns(model: LinearModel, best: _Best) -> MipStatus:
    if np.any((model.row_lower > FEASIBILITY) | (model.row_upper < -FEASIBILITY)):
        return MipStatus.INFEASIBLE
    if np.any(model.row_lower > model.row_upper):
        return MipStatus.INFEASIBLE
    best.take({"objective": model.offset, "bound": model.offset}, {"x": np.empty(0)})
    return MipStatus.OPTIMAL
