"""The child that runs HiGHS: one model in on stdin, incumbents and bounds out on stdout.

`labelcut.solvers._mip` starts this file by its path, so it imports nothing of labelcut. It ends
when its work is done, when it is killed, or when stdin closes because the parent is gone.

A frame is a little-endian uint64 (the length of the header), a JSON header, and the raw bytes of
the arrays that the header lists under ``arrays`` as ``[name, dtype, length]``.
"""

import contextlib
import json
import os
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from io import FileIO
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing_extensions import Buffer

Arrays = dict[str, NDArray[Any]]

LENGTH = struct.Struct("<Q")
SECONDS_BETWEEN_BOUNDS = 0.1


def write_frame(
    stream: FileIO, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write one frame; the arrays, one-dimensional and contiguous, go out without a copy."""
    listed = [[name, array.dtype.str, array.size] for name, array in arrays.items()]
    text = json.dumps({**header, "arrays": listed}).encode()
    _write(stream, memoryview(LENGTH.pack(len(text)) + text))
    for array in arrays.values():
        if array.size:
            _write(stream, memoryview(cast("Buffer", array)).cast("B"))


def read_frame(stream: FileIO) -> tuple[dict[str, Any], Arrays]:
    """Read one frame into fresh arrays.

    Raises
    ------
    EOFError
        If the stream ends before the frame does.
    """
    prefix = bytearray(LENGTH.size)
    _fill(stream, memoryview(prefix))
    text = bytearray(LENGTH.unpack(prefix)[0])
    _fill(stream, memoryview(text))
    header = json.loads(text)
    arrays: Arrays = {}
    for name, dtype, size in header.pop("arrays"):
        arrays[name] = np.empty(size, dtype=dtype)
        if size:
            _fill(stream, memoryview(cast("Buffer", arrays[name])).cast("B"))
    return header, arrays


def peak_bytes(pid: int | str = "self") -> int | None:
    """Peak resident memory of a process, or None where the system does not tell."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if pid != "self":
        return None
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    """Serve one request and end the process without cleaning up."""
    code = 1
    try:
        serve()
        code = 0
    except ValueError as error:
        print(error, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    """Read the model, solve it, and report on the way."""
    # Whatever a library prints must not land between two frames.
    channel = FileIO(os.dup(1), "wb")
    os.dup2(2, 1)
    request, arrays = read_frame(FileIO(0, "rb", closefd=False))
    threading.Thread(target=end_with_parent, daemon=True).start()

    lock = threading.Lock()

    def send(header: Mapping[str, Any], values: Mapping[str, NDArray[Any]]) -> None:
        with lock:
            write_frame(channel, {**header, "peak": peak_bytes()}, values)

    highs = _load(request, arrays)
    arrays.clear()
    _report_progress(highs, send)
    _finish(highs, request, send)


def _load(request: Mapping[str, Any], arrays: Arrays) -> Any:
    import highspy  # type: ignore[import-untyped, unused-ignore]

    highs = highspy.Highs()
    highs.silent()
    for name, value in request["options"].items():
        if highs.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise ValueError(f"options: HiGHS does not take {name}={value!r}; see its option list")
    status = highs.passModel(
        arrays["cost"].size,
        arrays["row_lower"].size,
        arrays["data"].size,
        int(getattr(highspy.MatrixFormat, request["format"])),
        int(highspy.ObjSense.kMinimize),
        request["offset"],
        arrays["cost"],
        arrays["lower"],
        arrays["upper"],
        arrays["row_lower"],
        arrays["row_upper"],
        arrays["indptr"],
        arrays["indices"],
        arrays["data"],
        arrays["integer"].astype(np.int32),
    )
    # A warning is harmless here: coefficients below 1e-9 dropped, or lower above upper.
    if status == highspy.HighsStatus.kError:
        raise ValueError("model: HiGHS does not take it; look for coefficients of 1e15 and above")
    if "start" in arrays:
        solution = highspy.HighsSolution()
        solution.col_value = arrays["start"].tolist()
        highs.setSolution(solution)
    left = request["deadline"] - time.time()
    # A little early, so that the last bound still arrives before the parent kills.
    highs.setOptionValue("time_limit", max(left - min(0.05 * left, 0.25), 0.0))
    return highs


def _report_progress(highs: Any, send: Callable[..., None]) -> None:
    sent_bound = -np.inf
    sent_at = -np.inf

    def bound_of(event: Any) -> float | None:
        bound = float(event.data_out.mip_dual_bound)
        return bound if np.isfinite(bound) else None

    def on_incumbent(event: Any) -> None:
        values = np.array(event.data_out.mip_solution, dtype=np.float64)
        objective = float(event.data_out.objective_function_value)
        send({"kind": "update", "objective": objective, "bound": bound_of(event)}, {"x": values})

    def on_check(event: Any) -> None:
        nonlocal sent_bound, sent_at
        bound = bound_of(event)
        now = time.monotonic()
        if bound is None or bound <= sent_bound or now - sent_at < SECONDS_BETWEEN_BOUNDS:
            return
        sent_bound, sent_at = bound, now
        send({"kind": "update", "objective": None, "bound": bound}, {})

    # The logging callback stays silent without output, so bounds come from the limit checks.
    highs.cbMipImprovingSolution += on_incumbent
    highs.cbMipInterrupt += on_check


def _finish(highs: Any, request: Mapping[str, Any], send: Callable[..., None]) -> None:
    import highspy  # type: ignore[import-untyped, unused-ignore]

    highs.run()
    status = highs.getModelStatus()
    if status == highspy.HighsModelStatus.kUnboundedOrInfeasible:
        # Presolve alone cannot tell these two apart.
        highs.setOptionValue("presolve", "off")
        highs.run()
        status = highs.getModelStatus()
    info = highs.getInfo()
    solution = highs.getSolution()
    arrays: Arrays = {}
    objective: float | None = None
    bound: float | None = None
    if info.primal_solution_status == int(highspy.SolutionStatus.kSolutionStatusFeasible):
        objective = float(info.objective_function_value)
        arrays["x"] = np.asarray(solution.col_value, dtype=np.float64)
    # HiGHS leaves the field at 0 where it answers without branch and bound.
    if info.mip_node_count >= 0 and np.isfinite(info.mip_dual_bound):
        bound = float(info.mip_dual_bound)
    elif status == highspy.HighsModelStatus.kOptimal:
        bound = objective
    if solution.dual_valid and not request["mip"]:
        arrays["row_duals"] = np.asarray(solution.row_dual, dtype=np.float64)
    nodes = max(int(info.mip_node_count), 0)
    end = {"kind": "end", "status": status.name, "objective": objective, "bound": bound}
    send({**end, "nodes": nodes}, arrays)


def end_with_parent() -> None:
    """Wait until stdin closes, because the parent is gone, and end the process at once."""
    os.read(0, 1)
    os._exit(1)


def _write(stream: FileIO, data: memoryview) -> None:
    while data:
        data = data[stream.write(data) :]


def _fill(stream: FileIO, buffer: memoryview) -> None:
    while buffer:
        count = stream.readinto(buffer)
        if not count:
            raise EOFError("the stream ended inside a frame")
        buffer = buffer[count:]


if __name__ == "__main__":
    main()
