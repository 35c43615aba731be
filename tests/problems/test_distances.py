"""Distances between expected classes and the target, against SciPy's LP and hand-worked numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.spatial.distance import cdist

from labelcut import ClassBalanced, InvalidInput, load
from labelcut.problems.distances import NAMES, PLAIN, Wasserstein, as_distance
from labelcut.problems.transport import transport_cost


def random_metric(rng, classes):
    """Return distances of random points, some of which coincide."""
    points = (
        rng.integers(0, 4, size=(classes, 2)) if rng.random() < 0.3 else rng.random((classes, 2))
    )
    return cdist(points, points)


def random_distance(rng, name, classes):
    """Return a distance by name, with a random ground cost where it takes one."""
    cost = random_metric(rng, classes) if name == "wasserstein" else None
    return as_distance(name, cost, classes)


def flow_lp(shortfall, cost):
    """Return the least cost of a flow that evens a shortfall out, by linear programming."""
    classes = len(shortfall)
    balance = np.zeros((classes, classes, classes))
    for k in range(classes):
        balance[k, k, :] += 1
        balance[k, :, k] -= 1
    rows = balance.reshape(classes, -1)
    return linprog(cost.ravel(), A_eq=rows, b_eq=shortfall).fun


@given(st.integers(0, 10**6))
def test_transport_is_the_value_of_the_lp(seed):
    """Another flow than the cheapest would misprice every Wasserstein problem."""
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 9))
    cost = random_metric(rng, classes)
    shortfall = rng.normal(size=classes) if seed % 2 else rng.integers(-3, 4, classes).astype(float)
    shortfall[0] -= shortfall.sum()
    assert transport_cost(shortfall, cost) == pytest.approx(flow_lp(shortfall, cost), abs=1e-6)


def test_values_by_hand():
    """A distance would be another one than its name says."""
    shortfall = np.array([3.0, -4.0, 1.0])
    assert PLAIN["l1"].value(shortfall) == 8.0
    assert PLAIN["l2"].value(shortfall) == pytest.approx(np.sqrt(26))
    assert PLAIN["squared-l2"].value(shortfall) == 26.0
    # 3 go from class 1 to 0 at 2 each, 1 from 1 to 2 at 5
    cost = np.array([[0, 2, 7], [2, 0, 5], [7, 5, 0.0]])
    assert Wasserstein(cost).value(shortfall) == pytest.approx(11.0)


@pytest.mark.parametrize("name", NAMES)
@given(st.integers(0, 10**6))
def test_every_line_lies_below_the_distance(name, seed):
    """A line above the distance would prove bounds that are false."""
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 7))
    distance, balance = random_distance(rng, name, classes), float(rng.choice([0.1, 1.0, 30.0]))
    multipliers = rng.normal(size=classes) * rng.choice([0.01, 1.0, 50.0])
    expected, target = rng.random(classes) * 5, rng.random(classes) * 5
    if name == "wasserstein":
        target *= expected.sum() / target.sum()
    mass = expected.sum() + target.sum()
    line = multipliers @ (target - expected) - distance.conjugate(multipliers, balance)
    line -= distance.excess(multipliers, balance) * mass
    assert line <= balance * distance.value(target - expected) + 1e-9 * (1 + abs(line))


@pytest.mark.parametrize("name", NAMES)
@given(st.integers(0, 10**6))
def test_into_the_ball_means_no_excess(name, seed):
    """Multipliers would lose some of their bound for no reason."""
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 7))
    distance, balance = random_distance(rng, name, classes), float(rng.choice([0.0, 0.1, 30.0]))
    inside = distance.into_ball(rng.normal(size=classes) * 10, balance)
    assert distance.excess(inside, balance) <= 1e-13 * (1 + balance)
    assert np.isfinite(distance.conjugate(inside, balance))


@pytest.mark.parametrize("name", NAMES)
def test_many_shortfalls_have_the_distances_of_each(name):
    """Swaps would be judged by another distance than the objective."""
    rng = np.random.default_rng(1)
    distance, shortfalls = random_distance(rng, name, 4), rng.normal(size=(9, 4))
    shortfalls -= shortfalls.mean(axis=1, keepdims=True)
    found = distance.values(shortfalls)
    assert found.shape == (9,)
    np.testing.assert_allclose(found, [distance.value(one) for one in shortfalls], rtol=1e-12)


@pytest.mark.parametrize("name", PLAIN)
def test_no_shortfall_of_a_mass_is_nearer_than_the_unreachable_part(name):
    """The part that no choice can remove would be overstated."""
    rng = np.random.default_rng(0)
    distance = PLAIN[name]
    for mass in (-3.0, 0.5, 2.0):
        least = distance.unreachable(mass, 4)
        for _ in range(200):
            shortfall = rng.normal(size=4)
            shortfall += (mass - shortfall.sum()) / 4
            assert distance.value(shortfall) >= least - 1e-12
        assert distance.value(np.full(4, mass / 4)) == pytest.approx(least)


GOOD = 1.0 - np.eye(2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"distance": "l3"}, "distance: must be one of l1, l2, squared-l2, wasserstein; got 'l3'"),
        ({"distance": "l1", "ground_cost": GOOD}, "ground_cost: 'l1' takes none"),
        ({"distance": "wasserstein"}, "ground_cost: 'wasserstein' needs the cost"),
        ({"ground_cost": np.ones((3, 3))}, r"ground_cost: must be \(2, 2\).*got \(3, 3\)"),
        ({"ground_cost": -GOOD}, "ground_cost: must be finite and not negative; got -1"),
        ({"ground_cost": GOOD * np.nan}, "ground_cost: must be finite and not negative"),
        ({"ground_cost": GOOD + np.eye(2)}, "ground_cost: a class is at distance 0 from itself"),
        ({"ground_cost": np.array([[0, 1], [2, 0]])}, "ground_cost: must be the same both ways"),
        ({"ground_cost": GOOD, "target": [0, 0]}, "target: 'wasserstein' needs a class"),
    ],
)
def test_a_wrong_distance_is_one_clear_error(arguments, message):
    """Users would get an answer to another problem, or an error from deep inside."""
    given_arguments = {"distance": "wasserstein", **arguments}
    with pytest.raises(InvalidInput, match=message):
        ClassBalanced([[1, 0], [0, 1]], [1, 1], 1, **given_arguments)


def test_a_detour_that_is_cheaper_is_named():
    """Bounds hold under a metric only; without the names nobody finds the three classes."""
    cost = np.array([[0, 1, 9], [1, 0, 2], [9, 2, 0.0]])
    with pytest.raises(InvalidInput, match="from class 0 to 2 costs 9, over 1 only 3"):
        ClassBalanced(np.eye(3), [1, 1, 1], 1, distance="wasserstein", ground_cost=cost)


def test_the_target_is_scaled_to_the_budget_for_wasserstein():
    """Mass that comes from nowhere has no way to go, and no cost."""
    problem = ClassBalanced(
        np.eye(2), [0, 0], 1, target=[4, 4], distance="wasserstein", ground_cost=GOOD
    )
    assert problem.target.tolist() == [0.5, 0.5]
    assert problem.evaluate([0]).terms == {"utility": 0, "imbalance": 0.5, "unreachable": 0.0}


@pytest.mark.parametrize("name", NAMES)
def test_distance_and_ground_cost_survive_a_file(tmp_path, name):
    """A saved problem would be another one when it is read."""
    cost = {"ground_cost": np.array([[0, 3], [3, 0.0]])} if name == "wasserstein" else {}
    problem = ClassBalanced([[0.7, 0.3], [0.2, 0.8]], [1, 2], 1, distance=name, **cost)
    problem.save(tmp_path / "p.toml")
    assert load(tmp_path / "p.toml").fingerprint == problem.fingerprint
    others = [ClassBalanced([[0.7, 0.3], [0.2, 0.8]], [1, 2], 1, distance=n) for n in PLAIN]
    assert sum(other.fingerprint == problem.fingerprint for other in others) == (name in PLAIN)
