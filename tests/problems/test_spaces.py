"""Spaces: distances are the ones asked for, and rough ones lie within what they promise."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from labelcut import Factored
from labelcut.problems.embeddings import METRICS, Embeddings
from labelcut.problems.given_distances import GivenDistances

SIZE = 120
NAMES = {"euclidean": "euclidean", "squared-euclidean": "sqeuclidean", "cosine": "cosine"}


def cloud(dimension=40, size=SIZE, seed=0):
    """Draw points of several lengths, two of them twice."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(size, dimension)) * rng.uniform(0.5, 2.0, size=(size, 1))
    points[7], points[90] = points[3], points[3]
    return points


def stored(kind, points, folder):
    """Return points as one of the kinds of arrays that users have."""
    if kind == "memmap":
        np.save(folder / "x.npy", points.astype(np.float32))
        return np.load(folder / "x.npy", mmap_mode="r")
    return {
        "float64": points,
        "float32": points.astype(np.float32),
        "float16": points.astype(np.float16),
        "integers": np.round(points * 100).astype(np.int64),
        "fortran": np.asfortranarray(points.astype(np.float32)),
        "torch": torch.from_numpy(points).float(),
        "bfloat16": torch.from_numpy(points).bfloat16(),
        "shards": [points[:50].astype(np.float32), points[50:51], points[51:].astype(np.float32)],
        "mixed": [points[:50].astype(np.float32), torch.from_numpy(points[50:])],
    }[kind]


def assert_within_promise(space):
    """Compare rough distances with exact ones, in two blocks and to scattered sites."""
    rows = np.arange(0, space.size, 7)
    sites = space.sites(rows)
    exact = space.to_rough(space.between(np.arange(space.size), rows))
    for start, stop in ((0, 70), (70, space.size)):
        rough = np.asarray(space.rough(slice(start, stop), sites), dtype=np.float64)
        error = space.rough_error(slice(start, stop), sites)[:, None]
        assert (np.abs(rough - exact[start:stop]) <= error).all()


def as_float64(values):
    """Return stored values in float64."""
    parts = values if isinstance(values, list) else [values]
    parts = [part.double() if torch.is_tensor(part) else part for part in parts]
    return np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])


KINDS = [
    *("float64", "float32", "float16", "integers", "fortran", "torch", "bfloat16", "shards"),
    *("mixed", "memmap"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metric", METRICS)
def test_distances_are_those_of_scipy(kind, metric, tmp_path):
    """Coresets would be chosen by another distance than was asked for."""
    values = stored(kind, cloud(), tmp_path)
    space = Embeddings(values, metric)
    everything = np.arange(SIZE)
    points = as_float64(values)
    expected = cdist(points, points, NAMES[metric])
    np.testing.assert_allclose(space.between(everything, everything), expected, rtol=0, atol=1e-9)
    assert_within_promise(space)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("offset", [0.0, 1.0, 1e4])
@pytest.mark.parametrize("scale", [1.0, 1e-20, 1e20])
@pytest.mark.parametrize("spread", [1.0, 1e-3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dimension", [3, 64])
def test_rough_distances_keep_their_promise(metric, offset, scale, spread, dtype, dimension):
    """A nearest center would be missed: by rounding, by a common offset, or by overflow."""
    values = ((spread * cloud(dimension) + offset) * scale).astype(dtype)
    assert_within_promise(Embeddings(values, metric))


@pytest.mark.parametrize("kind", ["torch", "float16", "shards"])
def test_offsets_are_taken_off_whatever_holds_the_points(kind, tmp_path):
    """Points far from the origin would be rounded on one backend only."""
    assert_within_promise(Embeddings(stored(kind, cloud() + 50.0, tmp_path)))


@pytest.fixture
def coarse_products():
    """Let torch take fewer bits for products of float32, as many training scripts do."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("how", ["medium", "autocast"])
def test_torch_settings_do_not_break_the_promise(how, request):
    """A training script's TF32 or bfloat16 would make a proof count the wrong rows."""
    points = torch.from_numpy(cloud()).float()
    spaces = [Embeddings(points, metric) for metric in METRICS]
    spaces.append(Factored(points[:, :3], points[:, 3:9]))
    if how == "medium":
        request.getfixturevalue("coarse_products")
    with torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
        for space in spaces:
            assert space.rough(slice(0, 5), space.sites(np.arange(3))).dtype == torch.float64
            assert_within_promise(space)


def spaces():
    """Return one space of every kind over the same rows."""
    points = cloud()
    left, right = cloud(3, seed=1), cloud(5, seed=2)
    table = cdist(points, points)
    return {
        "embeddings": Embeddings(points.astype(np.float32)),
        "few dimensions": Embeddings(points[:, :2]),
        "far from the origin": Embeddings(points + 1e4),
        "squared": Embeddings(points, "squared-euclidean"),
        "cosine": Embeddings(points, "cosine"),
        "factored": Factored(left, right),
        "factored cosine": Factored(left, right, "cosine"),
        "given": GivenDistances(table),
        "a function": GivenDistances(lambda rows: table[rows], SIZE),
    }


@pytest.mark.parametrize("name", spaces())
def test_a_pair_has_one_distance_wherever_it_is_asked_for(name):
    """The same selection would have two radii, and a bound could lie above the optimum."""
    space = spaces()[name]
    rng = np.random.default_rng(0)
    rows, others = rng.integers(SIZE, size=(2, 40))
    table = space.between(rows, others)
    ones, twos = np.repeat(rows, 40), np.tile(others, 40)
    np.testing.assert_array_equal(space.pairs(ones, twos), table.ravel())
    np.testing.assert_array_equal(space.pairs(twos, ones), table.ravel())
    np.testing.assert_array_equal(space.between(rows[5:6], others[9:12]), table[5:6, 9:12])
    np.testing.assert_array_equal(space.pairs(rows, rows), np.zeros(40))


@pytest.mark.parametrize("name", spaces())
def test_nearer_is_what_the_distances_say(name):
    """A proof would count rows as covered that are not, most of all at the radius itself."""
    space = spaces()[name]
    rows = np.arange(3, SIZE, 11)
    sites = space.sites(rows)
    exact = space.between(np.arange(SIZE), rows)
    ties = exact[[0, 7, 50, 90], [2, 1, 0, 4]]
    for radius in (*ties, *np.nextafter(ties, np.inf), 0.0, -1.0, 1e300, np.inf):
        found = np.concatenate(
            [space.nearer(*span, sites, radius) for span in ((0, 61), (61, 120))]
        )
        np.testing.assert_array_equal(found, exact < radius)


@pytest.mark.parametrize("name", spaces())
def test_rough_and_real_distances_turn_into_each_other(name):
    """A solver would compare squares with distances."""
    space = spaces()[name]
    distances = np.array([0.0, 0.3, 1.7])
    np.testing.assert_allclose(space.from_rough(space.to_rough(distances)), distances, atol=1e-15)
    assert_within_promise(space)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_factored_is_the_expanded_outer_product(metric, dtype):
    """BADGE's gradients would be measured as something else."""
    left, right = cloud(4, seed=1).astype(dtype), cloud(6, seed=2).astype(dtype)
    expanded = np.einsum("ia,id->iad", left.astype(float), right.astype(float)).reshape(SIZE, 24)
    space = Factored(left, right, metric)
    everything = np.arange(SIZE)
    found = space.between(everything, everything)
    # Squares of near distances are differences of squared norms.
    unit = 1e-12 if metric != "euclidean" else 1e-6
    np.testing.assert_allclose(found, cdist(expanded, expanded, NAMES[metric]), atol=unit)
    assert_within_promise(space)
    assert space.start() == Embeddings(expanded, metric).start()


@pytest.mark.parametrize("turn", [False, True])
def test_factors_may_come_from_two_backends(turn):
    """Logits from torch beside embeddings from a file would crash in the first product."""
    rng = np.random.default_rng(3)
    one, other = rng.normal(size=(SIZE, 5)), rng.normal(size=(SIZE, 12))[::-1]
    mixed = (one, torch.from_numpy(other.copy())) if turn else (torch.from_numpy(one), other)
    space = Factored(*mixed)
    assert_within_promise(space)
    sites = space.sites(np.arange(9))
    expected = Factored(one, other).rough(slice(0, SIZE), sites)
    assert np.allclose(space.rough(slice(0, SIZE), sites), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("power", [30, -30, 100])
def test_factors_of_opposite_scale_do_not_overflow(power):
    """One large and one small factor would give NaN in place of distances."""
    left, right = cloud(4, seed=1), cloud(6, seed=2)
    plain, scaled = Factored(left, right), Factored(left * 10.0**power, right / 10.0**power)
    assert_within_promise(scaled)
    rows = np.arange(SIZE)
    np.testing.assert_allclose(scaled.between(rows, rows), plain.between(rows, rows), atol=1e-6)


@pytest.mark.parametrize("power", [60, -60])
@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_directions_do_not_depend_on_lengths(power, offset):
    """Lengths beyond float32 would give NaN in place of cosine distances."""
    points, other = (cloud(32) + offset), cloud(6, seed=2)
    scaled = points * 10.0**power
    rows = np.arange(SIZE)
    for plain, space in (
        (Embeddings(points, "cosine"), Embeddings(scaled, "cosine")),
        (Factored(points, other, "cosine"), Factored(scaled, other, "cosine")),
    ):
        assert_within_promise(space)
        np.testing.assert_allclose(space.between(rows, rows), plain.between(rows, rows), atol=1e-12)


def test_points_beyond_float32_are_moved_alike():
    """The offset of points that float32 cannot hold would be infinite."""
    assert_within_promise(Embeddings(cloud(32) + 1e16))
    assert_within_promise(Embeddings(cloud(32) * 1e30 + 1e45))


@pytest.mark.parametrize("name", ["embeddings", "far from the origin", "cosine", "given"])
def test_start_is_the_row_in_the_middle(name):
    """Farthest-first would begin somewhere else on every machine, or at the rim."""
    space = spaces()[name]
    if name == "given":
        expected = space.between(np.arange(SIZE), np.arange(SIZE)).sum(axis=1).argmin()
    else:
        points = space.points(np.arange(SIZE))
        expected = np.square(points - points.mean(axis=0)).sum(axis=1).argmin()
    assert space.start() == expected


@pytest.mark.parametrize("shift", [0, 100_000])
@pytest.mark.parametrize("seed", range(5))
def test_start_is_nearer_by_less_than_float32_tells(seed, shift):
    """A row that float32 takes for as near as the nearest would be the start if it came first.

    Whole numbers: rows come with their negatives, so that the mean is the shift, and their squared
    distances to it are K or K + 1 for a K beyond 2^24, where float32 holds every other number only.
    """
    rng, entries = np.random.default_rng(seed), np.ones(19, dtype=np.int64)
    while (entries @ entries) % 4 or entries @ entries < 1 << 24:
        entries = rng.integers(900, 1100, 19)
    half = np.stack([rng.permutation(entries) * rng.choice([-1, 1], 19) for _ in range(60)])
    last = rng.choice([-1, 1], 60)
    nearest = np.sort(rng.choice(np.arange(10, 60), 3, replace=False))
    last[nearest] = 0
    half = np.column_stack([half, last])
    away = np.concatenate([half, -half])
    assert np.float32(away[0] @ away[0]) == np.float32(away[nearest[0]] @ away[nearest[0]])
    assert Embeddings((away + shift).astype(np.float32)).start() == nearest[0]


@given(st.integers(0, 10**6), st.sampled_from(METRICS))
def test_grids_are_full_of_ties_and_still_exact(seed, metric):
    """Where many distances tie, the rough ones would decide."""
    rng = np.random.default_rng(seed)
    points = rng.integers(1, 4, size=(30, 20)).astype(np.float32)
    space = Embeddings(points, metric)
    rows = np.arange(0, 30, 3)
    exact = space.between(np.arange(30), rows)
    radius = exact[rng.integers(30), rng.integers(10)]
    found = space.nearer(0, 30, space.sites(rows), radius)
    np.testing.assert_array_equal(found, exact < radius)


@pytest.mark.parametrize("turned", [False, True])
def test_given_pairs_read_the_fewer_rows(turned):
    """A function would be asked for every row, N² distances, to measure all rows to few centers."""
    values, asked = np.random.default_rng(5).normal(size=SIZE), []

    def rows_of(rows):
        asked.extend(rows.tolist())
        return np.abs(values[rows][:, None] - values)

    space = GivenDistances(rows_of, SIZE)
    asked.clear()
    everyone, centers = np.arange(SIZE), np.resize([4, 9], SIZE)
    sides = (centers, everyone) if turned else (everyone, centers)
    assert (space.pairs(*sides) == np.abs(values[sides[0]] - values[sides[1]])).all()
    assert sorted(asked) == [4, 9]


@pytest.mark.parametrize("kind", ["embeddings", "factored", "given"])
def test_the_start_can_be_interrupted(kind):
    """A short time limit would wait for N² distances before it is looked at for the first time."""
    points = cloud()
    space = {
        "embeddings": lambda: Embeddings(points),
        "factored": lambda: Factored(points[:, :5], points[:, 5:]),
        "given": lambda: GivenDistances(cdist(points, points)),
    }[kind]()

    def tick():
        raise TimeoutError

    with pytest.raises(TimeoutError):
        space.start(tick)
