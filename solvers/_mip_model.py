"""Linear and mixed-integer models in the form HiGHS takes."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..problems.arrays import Floats
from ..problems.errors import InvalidInput

FEASIBILITY = 1e-6


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


def feasible_start(model: LinearModel, start: NDArray[Any]) -> Floats:
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
