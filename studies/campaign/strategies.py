"""The strategies that come with labelcut, by the names that campaign files call them.

Each is a short function from a `Round` to the answer of an explicit problem, which `labelcut.solve`
has checked. Another is added by writing one: ``choose = "module:function"`` in the campaign file.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ._stating import COMMON
from .by_balance import (
    BALANCE,
    CORRECTED,
    bald_balanced,
    entropy_balanced,
    k_center_balanced,
    pseudo_balanced,
)
from .by_chance import random, random_spaced, uniform, uniform_entropy
from .by_coherence import temporal_coherence, true_mistakes
from .by_coverage import badge, k_center, k_center_exact, uwe
from .by_truth import misclassified
from .by_uncertainty import (
    bald,
    by_least_confidence,
    by_margin,
    dispersion,
    entropy,
    equal_al,
)
from .pseudo_labels import (
    CEAL,
    PSEUDO,
    ceal,
    prepare_ceal,
    prepare_two_models,
    prepare_two_models_dispersion,
    two_models,
)
from .round import Strategy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .round import Round


def _strategy(
    name: str,
    choose: Callable[[Round], Any],
    summary: str,
    *,
    needs: Iterable[str] = (),
    options: Iterable[str] = (),
    functions: Iterable[str] = (),
    prepare: Callable[[Round], None] | None = None,
) -> Strategy:
    known = COMMON | set(options) | set(functions)
    return Strategy(name, choose, frozenset(needs), summary, prepare, known, frozenset(functions))


def _balanced(
    name: str, choose: Callable[..., Any], summary: str, *, needs: tuple[str, ...] = ()
) -> tuple[Strategy, Strategy]:
    """Return a class-balanced strategy, and the same on prior-corrected predictions."""
    more = {"passes"} if "dropout" in needs else set()
    plain = _strategy(name, choose, summary, needs=needs, options=BALANCE | more)
    corrected = _strategy(
        f"{name}-corrected",
        partial(choose, corrected=True),
        f"{summary}, predictions corrected for the pool's class mix",
        needs=needs,
        options=more | CORRECTED,
    )
    return plain, corrected


_WEIGHTING = ("tau", "uncertainty")
_ALL = (
    _strategy("random", random, "rows drawn uniformly"),
    _strategy("random+R", random_spaced, "a video, then a frame, apart in time", needs=["video"]),
    _strategy("uniform", uniform, "frames at equal distances in time", needs=["video"]),
    _strategy(
        "uniform+entropy",
        uniform_entropy,
        "every k-th frame, then the highest entropy",
        needs=["video"],
        options=["every"],
    ),
    _strategy("entropy", entropy, "highest entropy"),
    _strategy("margin", by_margin, "least margin between the two likeliest classes"),
    _strategy("least-confidence", by_least_confidence, "least probability of the likeliest class"),
    _strategy(
        "bald", bald, "mutual information of dropout passes", needs=["dropout"], options=["passes"]
    ),
    _strategy("equal-al", equal_al, "disagreement with the mirrored image", needs=["images"]),
    _strategy("dispersion", dispersion, "predictions that changed most", needs=["dispersion"]),
    _strategy("k-center", k_center, "coreset, farthest first"),
    _strategy("k-center-exact", k_center_exact, "coreset of the least radius, proven"),
    _strategy("uwe", uwe, "coreset of uncertainty-weighted features", options=_WEIGHTING),
    _strategy("badge", badge, "D² sampling on gradients of the last layer"),
    _strategy("U", entropy, "uncertainty alone (004's ablation)"),
    _strategy("F", k_center, "features alone (004's ablation)"),
    _strategy("U+F", uwe, "uncertainty-weighted features (004's ablation)", options=_WEIGHTING),
    *_balanced("entropy-cb", entropy_balanced, "entropy and class balance"),
    *_balanced("bald-cb", bald_balanced, "BALD and class balance", needs=("dropout",)),
    *_balanced("k-center-cb", k_center_balanced, "coreset and class balance"),
    *_balanced("pseudo-label-cb", pseudo_balanced, "quotas by predicted class, then entropy"),
    _strategy(
        "temporal-coherence-fp",
        temporal_coherence,
        "frames with most estimated false positives",
        functions=["coherence"],
    ),
    _strategy(
        "temporal-coherence-fn",
        partial(temporal_coherence, what="fn"),
        "frames with most estimated misses",
        functions=["coherence"],
    ),
    _strategy(
        "oracle-fp",
        true_mistakes,
        "frames with most true false positives",
        functions=["errors"],
    ),
    _strategy(
        "oracle-fn",
        partial(true_mistakes, what="fn"),
        "frames with most true misses",
        functions=["errors"],
    ),
    _strategy("misclassified", misclassified, "rows the model gets wrong", needs=["truth"]),
    _strategy(
        "two-models",
        two_models,
        "model B learns from model A's surest labels too, and chooses by entropy",
        options=PSEUDO,
        prepare=prepare_two_models,
    ),
    _strategy(
        "two-models-dispersion",
        two_models,
        "the same, model A being surest where its training changed its mind least",
        needs=["dispersion"],
        options=PSEUDO,
        prepare=prepare_two_models_dispersion,
    ),
    _strategy(
        "ceal",
        ceal,
        "one model that learns from its own surest labels, and chooses by entropy",
        options=CEAL,
        prepare=prepare_ceal,
    ),
)

STRATEGIES: dict[str, Strategy] = {strategy.name: strategy for strategy in _ALL}
"""Every strategy by its name."""

_NUMBER = (float, int)
OPTION_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("spacing", "every", "passes", "folds"), (int,)),
    **dict.fromkeys(("time_limit", "gap_tol", "tau", "share", "threshold", "decay"), _NUMBER),
    **dict.fromkeys(("method", "uncertainty"), (str,)),
    "balance": (*_NUMBER, str),
    "target": (str, list),
}
"""Types that their options may have in campaign files; what else there is they check themselves."""
