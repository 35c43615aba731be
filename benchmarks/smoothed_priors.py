"""Smoothed priors: what rows thought of in addition do to true balance.

python benchmarks/smoothed_priors.py [--only NAME] [--seeds 20]
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from _pool_draws import FOLDS, Draw, digits_draws, network, regression, thinned
from _results import asked, write_tables

from labelcut import ClassBalanced, correct_priors, entropy, l1_score, solve

TITLE, SCRIPT = "Smoothed priors", "benchmarks/smoothed_priors.py"
ORDER = ("Labels from the pool", "Labels by class")
FIRST, BUDGET, LIMIT = 4000, 50, 1.0
"""The first seed; no other benchmark draws with it or those after it."""
SMOOTHINGS = (0, 1, 2)
TRUE = "the true mix"
LOST = 2e-4
"""Share below which a class counts as lost: a sixth of a row in the pools here."""
INTRO = """\
`correct_priors(..., method="sharpened", smoothing=m)` on digits thinned to 10 % in a random half of
their classes, and the recommended program (`labels="chances"`, λ = 2, `target="fill"`, entropy,
b = 50, `exact` within {limit:g} s). *Lost* are classes of the pool with an estimated share below
0.02 %, *error* is half the ℓ1 distance between prior and pool's shares, *L1 true* the score of the
labels after the batch, those given before it included, *change* that against m = 0 draw by draw, ±
its standard error. Means of {seeds} seeds, which were not looked at when smoothing was chosen. The
true mix takes the shares that labels would tell.

*Labels from the pool* are one row of each class and others at random, so that rare classes have
few; *labels by class* are as many of each, as under *True balance*. Measured beside other work."""
HEAD = (
    "| model | labels | applied | m | lost | error | L1 true | change | utility of m = 0 |\n"
    "|---|---:|---:|---|---:|---:|---:|---:|---:|"
)


def pool_draws(predict: Callable[..., Any], labels: int, seeds: range) -> Iterator[Draw]:
    """Yield pools of digits with labels drawn from them."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import KFold

    images, truth = load_digits(return_X_y=True)
    images = images / 16

    def scores(rows: Any, others: Any, seed: int) -> Any:
        """Predict; 0 for classes of which there is no row, as scikit-learn fills them."""
        probs = np.zeros((len(others), 10))
        found = predict(images[rows], truth[rows], images[others], seed)
        probs[:, np.unique(truth[rows]) if found.shape[1] < 10 else np.arange(10)] = found
        return probs

    for seed in seeds:
        rng = np.random.default_rng(seed)
        rows = thinned(np.arange(len(truth)), truth, 10, rng)
        firsts = np.array([rng.choice(rows[truth[rows] == k]) for k in range(10)])
        others = rng.choice(np.setdiff1d(rows, firsts), labels - 10, replace=False)
        labeled = rng.permutation(np.concatenate([firsts, others]))
        pool = np.setdiff1d(rows, labeled)
        held_out = np.empty((labels, 10))
        for learn, keep in KFold(FOLDS).split(labeled):
            held_out[keep] = scores(labeled[learn], labeled[keep], seed)
        probs, own = scores(labeled, pool, seed), truth[labeled]
        accuracy = float((probs.argmax(axis=1) == truth[pool]).mean())
        counts = np.bincount(own, minlength=10)
        yield Draw(probs, truth[pool], held_out, own, counts, accuracy)


def outcomes(draw: Draw) -> Mapping[Any, tuple[float, ...]]:
    """Return lost classes, error, true L1, utility and whether it was applied, by smoothing."""
    mix = np.bincount(draw.truth, minlength=10) / len(draw.truth)
    utility, found = entropy(draw.probs), {}
    held_out = {"held_out": draw.held_out, "held_out_classes": draw.held_out_classes}
    for smoothing in (*SMOOTHINGS, TRUE):
        prior = correct_priors(
            draw.probs,
            draw.trained_on,
            method="sharpened",
            smoothing=0 if smoothing == TRUE else smoothing,
            replicates=20,
            **held_out,
        )
        probs, shares = prior.probs, prior.prior
        if smoothing == TRUE:
            shares = np.maximum(mix, 1e-6)
            probs = prior.calibration.apply(draw.probs) * shares / draw.trained_on
            probs /= probs.sum(axis=1, keepdims=True)
        problem = ClassBalanced(
            probs,
            utility,
            BUDGET,
            balance=2.0,
            target="fill",
            labels="chances",
            labeled_counts=draw.trained_on,
        )
        rows = solve(problem, "exact", time_limit=LIMIT).indices
        found[smoothing] = (
            float(((shares < LOST) & (mix > 0)).sum()),
            float(np.abs(shares - mix).sum() / 2),
            l1_score(np.concatenate([draw.truth[rows], draw.held_out_classes]), 10),
            float(utility[rows].sum()),
            float(prior.applied),
        )
    return found


def rows_of(model: str, labels: int, draws: Iterator[Draw]) -> list[str]:
    """Return one row of the table a smoothing."""
    every = [outcomes(draw) for draw in draws]
    plain, lines = np.array([one[0] for one in every]), []
    for smoothing in (*SMOOTHINGS, TRUE):
        values = np.array([one[smoothing] for one in every])
        lost, error, true, useful, applied = values.mean(axis=0)
        moved = values[:, 2] - plain[:, 2]
        change = f"{moved.mean():+.3f} ± {moved.std(ddof=1) / np.sqrt(len(moved)):.3f}"
        lines.append(
            f"| {model} | {labels} | {applied:.0%} | {smoothing} | {lost:.1f} | {error:.3f} | "
            f"{true:.3f} | {change if smoothing else ''} | {useful / plain[:, 3].mean():.1%} |"
        )
    return lines


def main() -> None:
    """Measure and write the tables."""
    parser = asked(__doc__, ORDER)
    parser.set_defaults(seeds=20)
    args = parser.parse_args()
    seeds = range(FIRST, FIRST + args.seeds)
    models = {"logistic regression": regression, "convolutional network": network}

    def table(draws: Callable[..., Iterator[Draw]], cases: tuple[tuple[str, int], ...]) -> str:
        lines = [HEAD]
        for model, labels in cases:
            lines += rows_of(model, labels, draws(models[model], labels, seeds))
        return "\n".join(lines)

    first, second = models
    by_chance = ((first, 100), (first, 200), (second, 100))
    by_class = ((first, 40), (first, 100), (first, 400))
    made = {
        ORDER[0]: lambda: table(pool_draws, by_chance),
        ORDER[1]: lambda: table(digits_draws, by_class),
    }
    intro = INTRO.format(seeds=args.seeds, limit=LIMIT)
    for name in args.only or ORDER:
        write_tables(TITLE, SCRIPT, intro, ORDER, {name: made[name]()})


if __name__ == "__main__":
    main()
