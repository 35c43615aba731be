"""Run a torch classifier over a dataset: probabilities, embeddings, uncertainty, row by row."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import array_api_compat.torch as xp
import torch
from torch import Tensor, nn

from . import uncertainty
from ._batches import model_logits
from ._devices import Place, borrowed
from ._layers import Inputs, embedding_layers, layer_name
from ._loaders import Batch, Pool, mismatch
from ._running import PROBLEM, TOGETHER, Blocks, finiteness, require_finite, run, seeded
from ._tables import MemoryTable, Table, columns_changed
from .score_folders import FolderTable, model_fingerprint, read_arrays
from .stochastic import bald, flip_disagreement, mc_dropout

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MEASURES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[..., Any]]] = {
    "entropy": (lambda z, p: -(p * _finite_logs(z)).sum(1), uncertainty.entropy),
    "least_confidence": (
        lambda _, p: uncertainty._least_confidence(xp, p),
        uncertainty.least_confidence,
    ),
    "margin": (lambda _, p: uncertainty._margin(xp, p), uncertainty.margin),
    "second_best_ratio": (
        lambda _, p: uncertainty._second_best_ratio(xp, p),
        uncertainty.second_best_ratio,
    ),
}
"""Measures of logits and their softmax, and the same with a check for rows that may be anything."""

OUTPUTS = ("probs", "embeddings", "predictions", *_MEASURES, "bald", "flip_disagreement")


@dataclass(frozen=True, eq=False)
class Scores:
    """What a model says about each row of a dataset, in dataset order; None was not asked for.

    Attributes
    ----------
    probs
        Class probabilities ``(N, C)`` float32.
    embeddings
        Inputs of the classifying layer ``(N, d)`` float32.
    predictions
        Most probable classes ``(N,)`` int64, the lowest on ties.
    entropy, least_confidence, margin, second_best_ratio
        Uncertainties ``(N,)`` float32 of the probabilities; see the functions of these names.
    bald
        Disagreement ``(N,)`` float32 of passes with dropout.
    flip_disagreement
        Disagreement ``(N,)`` float32 of the predictions for an image and its mirror image.
    """

    probs: "NDArray[Any] | None" = None
    embeddings: "NDArray[Any] | None" = None
    predictions: "NDArray[Any] | None" = None
    entropy: "NDArray[Any] | None" = None
    least_confidence: "NDArray[Any] | None" = None
    margin: "NDArray[Any] | None" = None
    second_best_ratio: "NDArray[Any] | None" = None
    bald: "NDArray[Any] | None" = None
    flip_disagreement: "NDArray[Any] | None" = None


def score(
    model: nn.Module,
    loader: Iterable[Any],
    *,
    outputs: Sequence[str] = ("probs", "embeddings"),
    device: torch.device | str | None = None,
    out: str | Path | None = None,
    layer: str | nn.Module | None = None,
    pool: Literal["flatten", "mean"] = "flatten",
    apply: Literal["softmax", "none"] = "softmax",
    amp: Literal["auto", "off"] | torch.dtype = "auto",
    passes: int = 20,
    seed: int = 0,
    progress: bool = False,
) -> Scores:
    r"""Compute probabilities, embeddings and uncertainties of every row of a dataset.

    .. math:: p_{ic} = \frac{\exp f_c(x_i)}{\sum_{k=1}^{C} \exp f_k(x_i)}

    The model runs in evaluation and inference mode and comes back as it was: training mode of
    every submodule, hooks and device, also after an exception. The softmax is taken in float32,
    and everything is reduced to its output on the device. Where a batch does not fit into the
    memory of the GPU, it goes on with half batches and says so once through ``logging``.

    Parameters
    ----------
    model
        Classifier whose output is logits ``(batch, C)``, C ≥ 2: a tensor, the first of a tuple, or
        ``logits`` / ``out`` of a mapping or object.
    loader
        Batches in dataset order: tensors, tuples that begin with the input, or mappings that hold
        it under ``x``, ``image`` or ``pixel_values`` (else the first tensor). Floating-point
        inputs are cast to the dtype of the model's parameters. Mappings may name the dataset rows
        under ``indices``; then they may come in any order.
    outputs
        What to keep, of the fields of `Scores`.
    device
        Where to run; the model returns to its own device afterwards. Default: where it is.
    out
        Folder for the results, as memory-mapped arrays. A run that is stopped, however hard, goes
        on there when it is called again with the same arguments, and ends with the same files; the
        data must be the same, which is not checked. Default: arrays in memory.
    layer
        The layer whose input is the embedding: a module of `model` or its dotted name. Default: of
        the linear and convolution layers with C outputs, the one that runs last.
    pool
        How a layer's input of more axes becomes ``(batch, d)``: flattened, or by the mean over its
        positions.
    apply
        ``"none"`` if the model ends in a softmax itself, so that its outputs are kept as they are.
    amp
        Automatic mixed precision: ``"off"``, ``torch.bfloat16`` or ``torch.float16`` (CUDA only).
        ``"auto"`` means bfloat16 on a CUDA device that has it (else float16) for a float32 model,
        and off everywhere else.
    passes
        Number of passes with dropout for ``bald``, at least 2.
    seed
        Seed of these passes; they do not depend on where a run was stopped.
    progress
        Whether to show a progress bar on stderr.

    Returns
    -------
    Scores
        The outputs asked for, on the CPU. Row i is row i of the dataset.

    Raises
    ------
    ValueError
        If the loader shuffles without naming rows, drops rows, shares them out or is empty; the
        outputs are not ``(batch, C)`` or not finite; no layer qualifies for embeddings, or none is
        dropout for ``bald``; the folder belongs to another run or the disk is too small; or an
        option is unknown.
    TypeError
        If the model is no module, or no tensor is found in a batch or an output.

    Examples
    --------
    >>> data = torch.utils.data.TensorDataset(torch.eye(3))
    >>> scores = score(nn.Linear(3, 2), torch.utils.data.DataLoader(data, batch_size=2))
    >>> scores.probs.shape, scores.embeddings.shape
    ((3, 2), (3, 3))
    """
    wanted = _wanted(outputs)
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model: must be a torch.nn.Module; {type(model).__name__} came; wrap it in a module"
        )
    _require_one_of("apply", apply, ("softmax", "none"))
    _require_one_of("pool", pool, ("flatten", "mean"))
    if layer is not None and "embeddings" not in wanted:
        raise ValueError(
            'layer: names the embedding layer, but outputs= has no "embeddings"; drop one of them'
        )
    if "bald" in wanted and passes < 2:
        raise ValueError(f"passes: BALD needs at least 2; {passes} came; the default is 20")
    place = Place.of(model, device, amp)
    layers = embedding_layers(model, layer) if "embeddings" in wanted else []
    batches = Pool.of(loader)
    table: Table = MemoryTable(batches.size)
    if out is not None:
        options = {
            "outputs": sorted(wanted),
            "layer": layer_name(model, layer),
            "pool": pool,
            "apply": apply,
            "autocast": str(place.autocast),
            "passes": [passes, seed] if "bald" in wanted else None,
            "model": model_fingerprint(model),
        }
        table = FolderTable(Path(out), _known_size(batches), options)
        if table.done is not None and table.done.all():
            return Scores(**table.arrays())

    with (
        borrowed(model, place),
        Inputs(layers, chosen=layer is not None, pool=pool) as seen,
    ):
        forward = _Forward(model, place, wanted, apply == "softmax", seen, passes, seed)
        # Checked measures name the batch.
        together = TOGETHER if apply == "softmax" else 0
        run(batches, forward, table, place.target, forward.finish, together, progress=progress)
    return Scores(**table.arrays())


def load_scores(folder: str | Path) -> Scores:
    """Read the scores that `score` has written into a folder, memory-mapped.

    Parameters
    ----------
    folder
        What was its `out`.

    Returns
    -------
    Scores
        The arrays, read-only.

    Raises
    ------
    ValueError
        If it is no such folder, or rows are still missing.
    """
    arrays = read_arrays(Path(folder))
    if not arrays.keys() <= set(OUTPUTS):
        raise ValueError(
            f"{folder}: must be a folder that score() wrote; this one holds {', '.join(arrays)}; "
            "regions are read by score_regions() with the arguments that they were made with"
        )
    return Scores(**arrays)


@dataclass
class _Forward:
    """What is computed of a batch, on the device."""

    model: nn.Module
    place: Place
    wanted: frozenset[str]
    softmax: bool
    seen: Inputs
    passes: int
    seed: int
    classes: int | None = field(init=False, default=None)

    # The loader stays outside: a dataset that caches would cache inference tensors, which cannot
    # be trained on later.
    def __call__(self, x: Tensor, batch: Batch) -> Blocks:
        with torch.inference_mode():
            return self._blocks(x, batch)

    def _blocks(self, x: Tensor, batch: Batch) -> Blocks:
        logits = self._logits(x)
        self.classes = self.classes or logits.shape[1]
        if logits.shape[1] != self.classes:
            raise ValueError(columns_changed(self.classes, logits.shape[1], int(batch.rows[0])))
        blocks = {"logits": logits}
        if not self.softmax or self.wanted & {"bald", "flip_disagreement"}:
            # These look at the probabilities themselves, and would not know the row.
            require_finite(finiteness(logits), batch.rows)
        if "embeddings" in self.wanted:
            blocks["embeddings"] = self.seen.take(logits).float()
        if "bald" in self.wanted:
            with mc_dropout(self.model), seeded(self.seed, int(batch.rows[0]), self.place.target):
                blocks["bald"] = bald(self._probs(self._logits(x)) for _ in range(self.passes))
        if "flip_disagreement" in self.wanted:
            if x.ndim < 4:
                raise ValueError(
                    "flip_disagreement: inputs must be images (batch, channels, height, width); "
                    f"{tuple(x.shape)} came; leave it out of outputs="
                )
            mirrored = self._probs(self._logits(x.flip(-1)))
            blocks["flip_disagreement"] = flip_disagreement(self._probs(logits), mirrored)
        self.seen.forget()
        return blocks

    @torch.inference_mode()
    def finish(self, blocks: Blocks, rows: "NDArray[np.int64]") -> Blocks:
        """Make outputs of logits, whatever number of batches they are from.

        No bit of a row may depend on the rows beside it: a run that goes on has others there.
        """
        logits = blocks.pop("logits")
        probs = self._probs(logits)
        blocks[PROBLEM] = finiteness(logits)
        if "probs" in self.wanted:
            blocks["probs"] = probs
        if "predictions" in self.wanted:
            blocks["predictions"] = probs.argmax(1)
        for name, (plain, checked) in _MEASURES.items():
            if name not in self.wanted:
                continue
            try:
                value = plain(logits, probs) if self.softmax else checked(probs)
            except ValueError as error:
                where = f"rows of the batch that begins at row {rows[0]}"
                raise ValueError(f'{error}, or drop apply="none" ({where})') from None
            blocks[name] = value.clamp(min=0)
        return blocks

    def _logits(self, x: Tensor) -> Tensor:
        logits = model_logits(self.place.run(self.model, x)).float()
        if logits.ndim != 2 or logits.shape[1] < 2:
            raise ValueError(
                f"model: logits must have shape (batch, C) with C of at least 2; "
                f"{tuple(logits.shape)} came; for one sigmoid output z return [0, z], for maps use "
                "score_regions, and pass a DataLoader that makes batches"
            )
        if logits.shape[0] != x.shape[0]:
            raise ValueError(mismatch(f"{len(logits)} rows", len(x)))
        return logits

    def _probs(self, logits: Tensor) -> Tensor:
        return logits.softmax(1) if self.softmax else logits


def _finite_logs(logits: Tensor) -> Tensor:
    """Return the logarithms of the softmax, finite also where logits are too far apart for that."""
    # Not by torch.log, whose last bit may depend on where in an array a number stands.
    return logits.log_softmax(1).clamp(min=torch.finfo(logits.dtype).min)


def _wanted(outputs: Sequence[str]) -> frozenset[str]:
    names = [outputs] if isinstance(outputs, str) else list(outputs)
    for name in names:
        _require_one_of("outputs", name, OUTPUTS)
    if not names:
        raise ValueError(f"outputs: must name at least one of {', '.join(OUTPUTS)}; none came")
    return frozenset(names)


def _require_one_of(argument: str, value: object, allowed: Sequence[str]) -> None:
    if value not in allowed:
        names = " or ".join(f'"{name}"' for name in allowed)
        raise ValueError(f"{argument}: must be {names}; {value!r} came; choose one of them")


def _known_size(batches: Pool) -> int:
    if batches.size is None:
        raise ValueError(
            "out: needs a loader whose number of rows is known, to make room on the disk; a "
            f"{type(batches.loader).__name__} came; pass a DataLoader over a dataset with a length"
        )
    return batches.size
