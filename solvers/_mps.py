"""Models as MPS files, for any other solver."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np

from ..problems.atomic import atomic_file, require_writable
from ..problems.errors import InvalidInput
from ..problems.memory import require_memory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ._mip_model import LinearModel

BYTES_EACH = 40
"""Length of one coefficient's line in an MPS file, about."""


def require_model_file(path: Path, values: int) -> None:
    """Raise unless a model of so many coefficients can be written at a place and held in memory.

    Raises
    ------
    InvalidInput
        Another suffix, a place that cannot be written, or too little room on the disk.
    NotEnoughMemory
        If the model does not fit.
    """
    if path.suffix != ".mps":
        raise InvalidInput(f"export: the model file ends in .mps; got {path.name}; rename it")
    require_writable(path)
    size, free = BYTES_EACH * values, shutil.disk_usage(path.parent).free
    if size > free:
        raise InvalidInput(
            f"export: {path.name} would take about {size / 1e9:.1f} GB, the disk has "
            f"{free / 1e9:.1f} GB; write elsewhere or take fewer candidates"
        )
    require_memory(150 * values, "export", "take fewer candidates")


def write_mps(model: LinearModel, names: Sequence[str], path: Path) -> int:
    """Write a model, whole or not at all, and return the file's size in bytes.

    Parameters
    ----------
    model
        To be minimized.
    names
        A name for each variable.
    path
        An ``.mps`` file.
    """
    import highspy

    rowwise = model.matrix.format == "csr"
    highs = highspy.Highs()
    highs.silent()
    highs.passModel(
        len(model.cost),
        len(model.row_lower),
        model.matrix.nnz,
        int(highspy.MatrixFormat.kRowwise if rowwise else highspy.MatrixFormat.kColwise),
        int(highspy.ObjSense.kMinimize),
        model.offset,
        model.cost,
        model.lower,
        model.upper,
        model.row_lower,
        model.row_upper,
        np.asarray(model.matrix.indptr[:-1], dtype=np.int32),
        np.asarray(model.matrix.indices, dtype=np.int32),
        model.matrix.data,
        model.integer.astype(np.int32),
    )
    for at, name in enumerate(names):
        highs.passColName(at, name)
    with atomic_file(path) as temporary:
        if highs.writeModel(str(temporary)) == highspy.HighsStatus.kError:
            raise InvalidInput(f"export: {path} cannot be written; choose another place")
        return temporary.stat().st_size
