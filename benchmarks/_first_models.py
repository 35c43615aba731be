"""What a campaign's first batches are: to the first models, as answers, and at best."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from labelcut import entropy, l1_score
from labelcut.studies.campaign import Results
from labelcut.studies.campaign.files import read_campaign
from labelcut.studies.campaign.loop import first_rows
from labelcut.studies.campaign.seeds import derive_seed
from labelcut.studies.campaign.training import first_model, measured, seed_all


def first_entropy(folder: Path, results: Results, name: str) -> Any:
    """Return the mean entropy ``(seeds,)`` of a strategy's first batch, by the first model."""
    found = []
    for seed in results.seeds:
        first = results.run(name, seed)[0]
        values, accuracy = _entropies(folder / str(seed), seed)
        assert accuracy == first.metrics["accuracy"], "another model than the strategy's"
        found.append(values[first.chosen].mean())
    return np.array(found)


def first_cover(folder: Path, results: Results, name: str) -> str:
    """Return what radius a strategy's first coreset leaves, and in how many seconds of a solver."""
    saved = [
        folder / str(seed) / "campaign.campaign" / "selections" / f"{name}-s{seed}-c0.json"
        for seed in results.seeds
    ]
    answers = [json.loads(path.read_text())["solution"] for path in saved]
    radii = [answer["terms"]["radius"] for answer in answers]
    seconds = np.mean([answer["runtime"] for answer in answers])
    return (
        f"radius {np.mean(radii):.2f} ± {np.std(radii, ddof=1):.2f} by `{name}` in {seconds:.2f} s"
    )


def least_l1(folder: Path, results: Results, batches: int) -> Any:
    """Return the L1 score ``(seeds,)`` of the first batches of somebody who knows all classes."""
    found = []
    for seed in results.seeds:
        run = results.run(results.strategies[0], seed)
        truth = np.load(folder / str(seed) / "truth.npy")
        left = np.bincount(truth, minlength=len(run[0].histogram)) - run[0].histogram
        taken = np.zeros_like(left)
        for _ in range(run[batches].labeled - run[0].labeled):
            # One more of a class that has fewest, if it has any left: no other choice is nearer.
            taken[np.where(taken < left, taken, taken.max() + 1).argmin()] += 1
        found.append(l1_score(np.repeat(np.arange(len(taken)), taken), len(taken)))
    return np.array(found)


@cache
def _entropies(home: Path, seed: int) -> tuple[Any, float]:
    """Return the entropy ``(N,)`` of a seed's rows by the first model, and its test accuracy."""
    campaign = read_campaign(home / "campaign.toml")
    rows, begun = np.sort(first_rows(campaign, seed)), derive_seed(seed, 0, "train")
    pool, learner = campaign.pool, campaign.learner
    seed_all(begun)
    model = first_model(campaign, begun)
    model = learner.train(model, pool.inputs[rows], pool.truth[rows], seed=begun)
    probs, _ = learner.predict(model, pool.inputs, embeddings=False)
    return entropy(probs), measured(learner, pool, model)["accuracy"]
