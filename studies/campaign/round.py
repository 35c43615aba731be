"""What a strategy sees when it chooses: rows labeled so far, the model, scores on demand."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...problems.arrays import freeze
from ...problems.errors import InvalidInput
from .learner import Learner, batches
from .seeds import derive_seed
from .timing import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import nn

    from ...problems.arrays import Ints
    from .pool import Pool

Probs = npt.NDArray[np.float32]
NEEDS = ("truth", "dispersion", "dropout", "images", "video")
"""What a strategy may need: all classes known, tracked predictions, dropout, images, videos."""
_NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Strategy:
    """A named way to choose.

    Parameters
    ----------
    name
        What campaign files call it.
    choose
        From a `Round` to a `Selection`, or the rows themselves: exactly `Round.budget` distinct
        ones of `Round.candidates`.
    needs
        Any of `NEEDS`; a campaign that cannot meet them refuses the strategy before it begins.
    summary
        What it does, in a line.
    prepare
        Called in every cycle before `choose`, in the last one too, where nothing is chosen: for
        strategies that train models of their own.
    options
        Names of the options it takes; None: any.
    functions
        Those of them that name functions, ``"module:function"``: it gets the functions.
    """

    name: str
    choose: Callable[[Round], Any]
    needs: frozenset[str] = frozenset()
    summary: str = ""
    prepare: Callable[[Round], None] | None = None
    options: frozenset[str] | None = None
    functions: frozenset[str] = frozenset()


@dataclass(eq=False)
class Round:
    """What a strategy sees when it chooses: rows labeled so far, the model, scores on demand.

    Parameters
    ----------
    pool
        The dataset.
    labeled
        Labeled rows, ascending; those of the audit slices included.
    labels
        Their classes ``(len(labeled),)``.
    budget
        Number of rows to choose now.
    cycle
        0 is the first choice after the initial set.
    seed
        Of this strategy, seed and cycle: every random choice derives from it.
    model
        This cycle's model, trained on `trained`.
    learner
        What makes and trains models.
    options
        The strategy's own, from the campaign file.
    memory
        Numbers, texts, lists of them (JSON) that survive between the cycles of a run: a λ that is
        found once and then frozen, for example.
    audit
        Labeled rows of the audit slices: no model is trained on them.
    barred
        Unlabeled rows that may not be chosen: those that later audit slices will take.
    models
        Models that a strategy carries from cycle to cycle by itself, by any name but ``model``;
        their weights are kept.
    metrics
        Numbers that a strategy wants in this cycle's record; NaN is left out.
    tracked
        Label dispersion ``(N,)`` over the epochs of this cycle's training, where it is tracked.
    watch
        Where seconds of training and scoring are counted.
    """

    pool: Pool
    labeled: Ints
    labels: Ints
    budget: int
    cycle: int
    seed: int
    model: nn.Module
    learner: Learner
    options: Mapping[str, Any] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    audit: Ints = field(default_factory=_NONE.copy)
    barred: Ints = field(default_factory=_NONE.copy)
    models: dict[str, nn.Module] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tracked: npt.NDArray[np.float64] | None = None
    watch: Stopwatch = field(default_factory=Stopwatch)

    def __post_init__(self) -> None:
        """Keep what is recorded from being changed in place, as by sorting it."""
        self.labeled, self.labels = freeze(self.labeled), freeze(self.labels)
        if self.tracked is not None:
            self.tracked = freeze(self.tracked)

    @cached_property
    def candidates(self) -> Ints:
        """Rows that are neither labeled nor barred, ascending."""
        free = np.ones(self.pool.size, dtype=bool)
        free[self.labeled] = False
        free[self.barred] = False
        return np.flatnonzero(free)

    @cached_property
    def trained(self) -> Ints:
        """Rows the model was trained on: the labeled ones but for audit slices, ascending."""
        return np.setdiff1d(self.labeled, self.audit)

    @cached_property
    def trained_labels(self) -> Ints:
        """Classes of `trained`."""
        return self.labels[np.searchsorted(self.labeled, self.trained)]

    @property
    def probs(self) -> Probs:
        """The model's class probabilities ``(N, C)`` of every row."""
        return self._scores[0]

    @property
    def embeddings(self) -> Probs:
        """The inputs ``(N, d)`` of the model's classifying layer."""
        found = self._scores[1]
        assert found is not None
        return found

    @property
    def dispersion(self) -> npt.NDArray[np.float64]:
        """Label dispersion ``(N,)`` over the epochs of this training (thesis eq. 3.1)."""
        if self.tracked is None:
            raise InvalidInput(
                "dispersion: was not tracked; write needs = ['dispersion'] under its [[strategy]], "
                "and let train call progress(model) once an epoch"
            )
        return self.tracked

    @cached_property
    def flip(self) -> Probs:
        """Class probabilities ``(N, C)`` of the mirrored images."""
        if not self.pool.is_image:
            raise InvalidInput(
                "flip: inputs must be images (N, channels, height, width); got shape "
                f"{tuple(getattr(self.pool.inputs, 'shape', ()))}; choose another strategy"
            )
        return self.predict(self.model, _Mirrored(self.pool.inputs), embeddings=False)[0]

    def passes(self, count: int = 20) -> Iterator[Probs]:
        """Yield class probabilities ``(N, C)`` of passes with dropout, for `labelcut.models.bald`.

        They depend on the round's seed only.
        """
        import torch

        from ...models.stochastic import mc_dropout

        device = next((weight.device for weight in self.model.parameters()), "cpu")
        for at in range(count):
            with self.watch.on("score"), torch.random.fork_rng(), mc_dropout(self.model):
                torch.manual_seed(derive_seed(self.seed, "pass", at))
                with torch.inference_mode():
                    parts = [
                        self.model(x.to(device)).float().softmax(1).cpu()
                        for x in batches(self.pool.inputs, self.learner.batch)
                    ]
            yield torch.cat(parts).numpy()

    def predict(
        self, model: nn.Module, inputs: Any = None, *, embeddings: bool = True
    ) -> tuple[Probs, Probs | None]:
        """Return class probabilities and embeddings of another model, or of other inputs."""
        given = self.pool.inputs if inputs is None else inputs
        with self.watch.on("score"):
            return self.learner.predict(model, given, embeddings=embeddings)

    def fit(
        self, model: nn.Module | None, rows: Ints, labels: Ints, weights: Any = None
    ) -> nn.Module:
        """Train a model (None: a new one) on rows of the pool with these labels, and return it."""
        import torch

        seed = derive_seed(self.seed, "fit")
        with self.watch.on("train"), torch.random.fork_rng():
            torch.manual_seed(seed)
            begun = self.learner.make_model(seed) if model is None else model
            return self.learner.train(
                begun, self.pool.inputs[rows], labels, seed=seed, weights=weights
            )

    def held_out(self, folds: int = 5) -> tuple[Probs, Ints]:
        """Return predictions of labeled rows by models that have not learned from them.

        Each of `folds` models is trained from scratch without its fold of `trained`; the folds
        hold the classes in equal shares. Audit rows are predicted by the round's own model.

        Parameters
        ----------
        folds
            At least 2.

        Returns
        -------
        probs
            Class probabilities ``(n, C)``.
        classes
            True classes ``(n,)``.
        """
        rows, classes = self.trained, self.trained_labels
        fold = _folds(classes, min(folds, len(rows)), self.seed)
        probs = np.empty((len(rows), self.pool.classes), dtype=np.float32)
        for at in range(fold.max() + 1):
            out = fold == at
            model = self.fit(None, rows[~out], classes[~out])
            probs[out] = self.predict(model, self.pool.inputs[rows[out]], embeddings=False)[0]
        own = self.labels[np.searchsorted(self.labeled, self.audit)]
        return np.concatenate([probs, self.probs[self.audit]]), np.concatenate([classes, own])

    @cached_property
    def _scores(self) -> tuple[Probs, Probs | None]:
        probs, embeddings = self.predict(self.model)
        return freeze(probs), None if embeddings is None else freeze(embeddings)


@dataclass(frozen=True)
class _Mirrored:
    """Images, flipped left to right when they are asked for."""

    images: Any

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Ints) -> Any:
        part = self.images[rows]
        return part[..., ::-1].copy() if isinstance(part, np.ndarray) else part.flip(-1)


def _folds(classes: Ints, folds: int, seed: int) -> Ints:
    """Return a fold for each row, in turn within each class, whose rows are shuffled before."""
    shuffled = np.random.default_rng(seed).permutation(len(classes))
    order = shuffled[np.argsort(classes[shuffled], kind="stable")]
    fold = np.empty(len(classes), dtype=np.int64)
    fold[order] = np.arange(len(classes)) % folds
    return fold
