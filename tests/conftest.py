"""One hypothesis profile for all tests, the same examples on every run; and small videos."""

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("labelcut", deadline=None, derandomize=True, database=None)
settings.load_profile("labelcut")


@pytest.fixture(scope="session")
def tiny_video():
    """Return problems over one random video with at most 12 nodes, and some overlap."""
    from labelcut.problems.detections import Video, make_detections
    from labelcut.problems.temporal_coherence import TemporalCoherence

    def make(seed, **parameters):
        rng = np.random.default_rng(seed)
        while True:
            count = int(rng.integers(2, 7))
            corner = rng.uniform(0, 12, (count, 2))
            boxes = np.concatenate([corner, rng.uniform(8, 12, (count, 2))], axis=1)
            moves = np.concatenate([rng.normal(0, 2, (count, 4, 2)), np.zeros((count, 4, 2))], 2)
            table = make_detections(
                boxes,
                rng.random(count).round(1),
                rng.integers(0, 4, count),
                videos=[Video("video", 4)],
            )
            problem = TemporalCoherence(table, boxes[:, None] + moves, (-2, -1, 1, 2), **parameters)
            if problem.n_nodes <= 12 and len(problem.edges):
                return problem

    return make
