"""Linear and mixed-integer models, solved by HiGHS in a child process that can be killed.

HiGHS does not keep a time limit by itself: it looks at the clock between steps that may take
minutes. Here the limit is kept by killing its process, and what it reported until then remains.
"""

import contextlib
import importlib.util
import math
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from ..problems.errors import InvalidInput, LabelcutError
from ._clock import Clock
from ._mip_worker import peak_bytes, read_frame, write_frame

if TYPE_CHECKING:
    from io import FileIO

Floats = NDArray[np.float64]
Option = bool | int | float | str
Frame = tuple[dict[str, Any], dict[str, NDArray[Any]]]

DEFAULT_OPTIONS: Mapping[str, Option] = MappingProxyType(
    {"threads": 1, "mip_rel_gap": 0.0, "mip_abs_gap": 1e-9}
)
FEASIBILITY = 1e-6


class SolverError(LabelcutError):
    """HiGHS or its process failed; the message ends with what the process wrote to stderr."""


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
class LinearModel:
    r"""A linear or mixed-integer model.

    .. math::
        \min_x \; c^\top x + \text{offset} \quad \text{s.t.} \quad
        l_r \le A x \le u_r, \; l \le x \le u, \; x_j \in \mathbb{Z} \text{ where } \text{integer}_j

    Parameters
    ----------
    cost
        ``(n,)`` finite.
    matrix
        ``(m, n)`` SciPy sparse array or matrix; CSR and CSC are taken without conversion.
    row_lower, row_upper
        ``(m,)``, infinite where a side is free. A lower side above its upper side makes the model
        infeasible, it is not an error.
    lower, upper
        ``(n,)`` bounds of the variables, likewise.
    integer
        ``(n,)`` bool; all False states an LP.
    offset
        Constant added to the objective.

    Raises
    ------
    InvalidInput
        If a shape or a value breaks these rules.
    """

    cost: Floats
    matrix: Any
    row_lower: Floats
    row_upper: Floats
    lower: Floats
    upper: Floats
    integer: NDArray[np.bool_]
    offset: float = 0.0

    def __post_init__(self) -> None:
        """Bring the arrays into the form HiGHS takes and validate them."""
        matrix = self.matrix if self.matrix.format in ("csr", "csc") else self.matrix.tocsr()
        if not matrix.has_canonical_format:
            matrix = matrix.copy()
            matrix.sum_duplicates()
        object.__setattr__(self, "matrix", matrix)
        if matrix.nnz > np.iinfo(np.int32).max:
            raise InvalidInput(f"matrix: {matrix.nnz} entries, HiGHS takes at most 2**31 - 1")
        rows, columns = matrix.shape
        sizes = {"cost": columns, "lower": columns, "upper": columns, "integer": columns}
        sizes |= {"row_lower": rows, "row_upper": rows}
        for name, size in sizes.items():
            dtype = np.bool_ if name == "integer" else np.float64
            array: NDArray[Any] = np.ascontiguousarray(getattr(self, name), dtype=dtype)
            if array.shape != (size,):
                raise InvalidInput(
                    f"{name}: shape {array.shape}, must be ({size},) to go with the matrix of "
                    f"{rows} rows and {columns} columns"
                )
            object.__setattr__(self, name, array)
        for name, values in (("cost", self.cost), ("matrix", matrix.data), ("offset", self.offset)):
            if not np.all(np.isfinite(values)):
                raise InvalidInput(f"{name}: holds NaN or infinity, must be finite")
        for name, free in (
            ("lower", -math.inf),
            ("row_lower", -math.inf),
            ("upper", math.inf),
            ("row_upper", math.inf),
        ):
            side = getattr(self, name)
            if np.any(np.isnan(side) | (side == -free)):
                raise InvalidInput(f"{name}: holds NaN or {-free}, must be finite or {free}")


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
        start = _feasible_start(model, start)
        objective = float(model.cost @ start) + model.offset
        if tell(*best.take({"objective": objective}, {"x": start})):
            return result(MipStatus.STOPPED, None, None)
    if model.cost.size == 0:
        # HiGHS calls every model without columns "empty", whatever its rows ask for.
        return result(_solve_without_columns(model, best), None, None)

    status, end = MipStatus.TIME, None
    with _Child(_request(model, start, options, clock)) as child:
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


class _Child:
    """The worker process and the two threads that talk to it.

    The threads block on the pipes, so that neither a slow child nor a slow callback can hold up
    the deadline or the other side; killing the child ends both.
    """

    def __init__(self, request: Frame) -> None:
        self.peak: int | None = None
        self._frames: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                _command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                bufsize=0,
                start_new_session=True,
            )
        except BaseException:
            self._log.close()
            raise
        self._threads = [
            threading.Thread(target=self._write, args=(request,), daemon=True),
            threading.Thread(target=self._read, daemon=True),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        if process.returncode is None:
            self._note_peak(peak_bytes(process.pid))
            process.kill()
            process.wait()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        for stream in (process.stdin, process.stdout, self._log):
            cast("FileIO", stream).close()

    def receive(self, timeout: float) -> Frame | None:
        """Next frame, or None when none came in time."""
        try:
            frame = self._frames.get(timeout=timeout)
        except queue.Empty:
            return None
        if frame is None:
            raise SolverError(self._obituary())
        self._note_peak(frame[0]["peak"])
        return frame

    def rest(self) -> list[Frame]:
        """Frames that arrived before the kill and that nobody received."""
        frames = []
        while not self._frames.empty():
            frame = self._frames.get()
            if frame is not None:
                frames.append(frame)
        return frames

    def _note_peak(self, peak: int | None) -> None:
        if peak is not None:
            self.peak = max(peak, self.peak or 0)

    def _write(self, request: Frame) -> None:
        # A dead child breaks the pipe, and the reader reports that.
        with contextlib.suppress(OSError):
            write_frame(cast("FileIO", self._process.stdin), *request)

    def _read(self) -> None:
        try:
            while True:
                self._frames.put(read_frame(cast("FileIO", self._process.stdout)))
        except (EOFError, OSError):
            pass
        finally:
            self._frames.put(None)

    def _obituary(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0.5)
        code = self._process.returncode
        self._log.seek(0)
        tail = self._log.read()[-2000:].decode(errors="replace").strip()
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        hint = "; signal 9 often means that memory ran out" if code == -9 else ""
        return f"the HiGHS process ended without an answer ({how}{hint}): {tail or 'no message'}"


def _command() -> list[str]:
    """Command line that starts this very worker, whatever the working folder holds.

    The worker is run by its path and ``-P`` keeps the working folder off its search path. Folders
    where this process found NumPy and HiGHS come last: they matter only where they are not
    installed but were put on `sys.path` by hand.
    """
    folders = []
    for name in ("numpy", "highspy"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            folders.append(os.path.abspath(Path(spec.origin).parent.parent))
    boot = (
        "import runpy, sys; sys.path += sys.argv[2:]; runpy.run_path(sys.argv[1], None, '__main__')"
    )
    worker = os.path.abspath(Path(__file__).with_name("_mip_worker.py"))
    return [sys.executable, "-P", "-c", boot, worker, *dict.fromkeys(folders)]


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


def _feasible_start(model: LinearModel, start: NDArray[Any]) -> Floats:
    """Validate a start; its integers come back exact.

    HiGHS completes a start with fractional integers by a restricted solve, whose bounds it reports
    as if they were the model's. A point with exact integers never leads there.
    """
    values = np.array(start, dtype=np.float64)
    if values.shape != model.cost.shape:
        raise InvalidInput(f"start: shape {values.shape}, must be {model.cost.shape}")
    rounded = np.where(model.integer, np.round(values), values)
    off = np.abs(rounded - values)
    worst = int(np.argmax(off)) if off.size else 0
    if off.size and not off[worst] <= FEASIBILITY:
        raise InvalidInput(
            f"start: variable {worst} is {values[worst]}, must be an integer within {FEASIBILITY}"
        )
    for what, at, low, high in (
        ("variable", rounded, model.lower, model.upper),
        ("row", model.matrix @ rounded, model.row_lower, model.row_upper),
    ):
        slack = FEASIBILITY * np.maximum(1.0, np.abs(at))
        bad = ~((at >= low - slack) & (at <= high + slack))
        if bad.any():
            i = int(np.argmax(bad))
            raise InvalidInput(
                f"start: {what} {i} is {at[i]}, must lie in [{low[i]}, {high[i]}]; "
                "pass a feasible point or none"
            )
    return rounded


def _solve_without_columns(model: LinearModel, best: _Best) -> MipStatus:
    if np.any((model.row_lower > FEASIBILITY) | (model.row_upper < -FEASIBILITY)):
        return MipStatus.INFEASIBLE
    if np.any(model.row_lower > model.row_upper):
        return MipStatus.INFEASIBLE
    best.take({"objective": model.offset, "bound": model.offset}, {"x": np.empty(0)})
    return MipStatus.OPTIMAL
