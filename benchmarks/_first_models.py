"""What a campaign's first models say of the rows that strategies chose with them."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from labelcut import entropy
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
