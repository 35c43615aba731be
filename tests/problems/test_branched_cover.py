"""The bound of branched rows, worked out by hand: true proofs hold and forged ones do not."""

from copy import deepcopy

import numpy as np
import pytest

from labelcut import InvalidInput, KCenter
from labelcut.problems import Certificate

# Two squares far apart: a corner covers itself and both neighbours, but not the opposite corner.
SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
SQUARES = np.vstack([SQUARE, SQUARE + 100.0])
RADIUS = float(np.sqrt(2.0))
EVERY = list(range(8))
OTHER = [4, 5, 6, 7]


def branched(**changed):
    """Return the proof that 3 centers leave a radius of √2, in thirds of a center.

    Each square takes 2 centers of which linear programs see 4/3. One of the first square either is
    corner 0, and corner 2 needs another; or it is corner 1, and corner 3 needs another; or corners
    0 and 1 have no center in common. The second square adds a third for each corner.
    """
    ends = [[2], [3], [0, 1]]
    stage = {
        "rows": EVERY,
        "columns": EVERY,
        "branched": [0, -1, 1, -1, -1],
        "first": [1, 0, 1, 0, 0],
        "counts": [0, 5, 0, 5, 6],
        "weighted": [row for end in ends for row in [*end, *OTHER]],
        "weights": [weight for end in ends for weight in [*[3] * len(end), 1, 1, 1, 1]],
    }
    return {"radius": RADIUS, "unit": 3, "rows": EVERY, "columns": EVERY, "stages": [stage]} | (
        changed
    )


def prove(problem, values):
    """Return what the values prove."""
    return problem.prove(Certificate("branched-rows", True, None, values))


def test_a_tree_worked_out_by_hand_is_believed():
    """Optima that linear programs miss could not be checked by anyone."""
    assert prove(KCenter(SQUARES, 3), branched()) == RADIUS
    centers = [0, 4, 6]
    assert KCenter(SQUARES, 3).evaluate(centers).terms["radius"] == RADIUS
    # Weighted rows alone say nothing: 8 corners, of which nobody covers more than 3.
    assert prove(KCenter(SQUARES, 3), {"rows": EVERY, "radius": RADIUS}) == 0.0


def test_candidates_that_are_no_better_than_the_columns_change_nothing():
    """Proofs would have to hold a column for each candidate, or forget one that covers more."""
    doubled = np.vstack([SQUARES, SQUARES[0], [[50.0, 50.0], [-1.0, 0.0]]])
    assert prove(KCenter(doubled, 3), branched()) == RADIUS
    middle = np.vstack([SQUARES, [[0.5, 0.5]]])
    assert prove(KCenter(middle, 3), branched()) == 0.0
    assert prove(KCenter(middle, 3, candidates=EVERY), branched()) == RADIUS


@pytest.mark.parametrize(
    ("arguments", "optimum"),
    [
        ({"budget": 4}, 1.0),
        ({"budget": 3, "outliers": 1}, 1.0),
        ({"budget": 3, "labeled": [2]}, 1.0),
    ],
)
def test_other_problems_are_not_proven(arguments, optimum):
    """A center, an outlier or a labeled row more makes a smaller radius possible."""
    problem = KCenter(SQUARES, **arguments)
    assert prove(problem, branched()) == 0.0
    centers = {4: [0, 2, 4, 6], 3: [0, 4, 6]}[arguments["budget"]]
    assert problem.evaluate(centers).terms["radius"] == optimum


def change(name, at, value):
    """Return a forgery that changes a number of the stage."""

    def forge(values):
        values["stages"][0][name][at] = value

    return forge


def drop_a_node(values):
    """Leave out the last end of the tree."""
    stage = values["stages"][0]
    for name in ("branched", "first", "counts"):
        stage[name].pop()
    del stage["weights"][-6:], stage["weighted"][-6:]


def end_at_once(values):
    """Call the root an end."""
    nothing = {"branched": [-1], "first": [0], "counts": [0], "weighted": [], "weights": []}
    values["stages"][0] |= nothing


def leave_a_column_out(values):
    """Forget corner 2, so that fewer columns cover row 1."""
    values["columns"] = [0, 1, 3, 4, 5, 6, 7]
    values["stages"][0]["columns"] = [0, 1, 2, 3, 4, 5, 6]


def leave_columns_out_of_the_stage(values):
    """Forget corner 6 where the tree begins."""
    values["stages"][0]["columns"] = [0, 1, 2, 3, 4, 5, 7]


def let_rows_come_back(values):
    """Call all columns alike on row 0, which they are not on the others."""
    whole = values["stages"][0]
    nothing = {"branched": [-1], "first": [0], "counts": [0], "weighted": [], "weights": []}
    values["stages"] = [
        {"rows": [0], "columns": [0], **nothing},
        whole | {"columns": [0], "branched": [-1], "first": [0], "counts": [4],
                 "weighted": OTHER, "weights": [12] * 4},
    ]  # fmt: skip


def add_a_node(values):
    """Go on after the last end."""
    stage = values["stages"][0]
    for name, value in (("branched", -1), ("first", 0), ("counts", 0)):
        stage[name].append(value)


def forget_later(column, **tree):
    """Return a forgery that forgets a column of a later stage."""

    def forge(values):
        stage = values["stages"][0]
        before = {name: [] for name in stage} | {"rows": EVERY, "columns": EVERY}
        left = [at for at in EVERY if at != column]
        values["stages"] = [before, stage | {"columns": left} | tree]

    return forge


# Without corner 0 as a center the tree ends sooner.
WITHOUT_0 = {
    "branched": [0, -1, -1],
    "first": [1, 0, 0],
    "counts": [0, 5, 6],
    "weighted": [3, *OTHER, 0, 1, *OTHER],
    "weights": [3, 1, 1, 1, 1, 3, 3, 1, 1, 1, 1],
}

FORGERIES = {
    "a lighter end": change("weights", 0, 2),
    "a part for the other": change("first", 0, 0),
    "another column": change("branched", 0, 3),
    "a node too few": drop_a_node,
    "a node too many": add_a_node,
    "no node": end_at_once,
    "no stage": lambda values: values.update(stages=[]),
    "a column forgotten": leave_a_column_out,
    "a column of the stage forgotten": leave_columns_out_of_the_stage,
    "the first column forgotten later": forget_later(0, **WITHOUT_0),
    "the last column forgotten later": forget_later(7),
    "rows that come back": let_rows_come_back,
    "a larger radius": lambda values: values.update(radius=np.nextafter(RADIUS, 2.0)),
    "no number for a radius": lambda values: values.update(radius=np.nan),
    "a heavier unit": lambda values: values.update(unit=4),
    "a lighter unit": lambda values: values.update(unit=2),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_trees_are_not_believed(forgery):
    """A bound would be believed because its certificate looks like one."""
    values = deepcopy(branched())
    FORGERIES[forgery](values)
    assert prove(KCenter(SQUARES, 3), values) == 0.0


def test_a_column_that_has_to_be_taken_is_not_left_out():
    """What would cost too much without a column would be refuted with it too."""
    star = KCenter([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], 1)
    ends = [1, 2, 3, 4]
    node = {"branched": [-1], "first": [0], "counts": [4], "weighted": [0, 1, 2, 3],
            "weights": [1, 1, 1, 1]}  # fmt: skip
    stages = [{"rows": [0, 1, 2, 3], "columns": at, **node} for at in ([0, 1, 2, 3, 4], ends)]
    values = {"unit": 1, "rows": ends, "columns": [0, 1, 2, 3, 4], "stages": stages}
    assert prove(star, values | {"radius": 1.2}) == 0.0
    # Nearer than 1 the middle covers none of them: the first stage alone proves as much.
    assert prove(star, values | {"radius": 1.0}) == 1.0 == star.evaluate([0]).terms["radius"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"unit": 0}, "certificate unit: must be a whole number"),
        ({"unit": 2.5}, "certificate unit: must be a whole number"),
        ({"unit": None}, "certificate unit: must be one number"),
        ({"unit": 1e300}, "certificate weights: are too large to add up"),
        ({"rows": [0, 0]}, "certificate rows: must be distinct"),
        ({"rows": [8]}, "certificate rows: must be at least 0 and below 8"),
        ({"columns": [-1]}, "certificate columns: must be at least 0"),
        ({"stages": 3}, "certificate stages: must be a list"),
        ({"stages": [3]}, "certificate stages: must be a list of stages"),
    ],
)
def test_broken_proofs_are_named(changed, message):
    """A file that was changed by hand would end in a traceback."""
    with pytest.raises(InvalidInput, match=message):
        prove(KCenter(SQUARES, 3), branched(**changed))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weights", [-3, *[1] * 15], "certificate weights: must be at least 0"),
        ("weights", [0.5, *[1] * 15], "certificate weights: must be whole numbers"),
        ("weights", [2**60, *[1] * 15], "certificate weights: are too large"),
        ("weights", [3], "as many weights as counts say"),
        ("weighted", [8, *[1] * 15], "certificate weighted: must be at least 0 and below 8"),
        ("counts", [0, 5, 0, 5], "differ in length"),
        ("counts", [0, 8, -3, 5, 6], "certificate counts: must be at least 0"),
        ("first", [2, 0, 1, 0, 0], "certificate first: must be at least 0 and below 2"),
        ("branched", [8, -1, 1, -1, -1], "certificate branched: must be at least -1 and below 8"),
        ("branched", None, "certificate branched: must be"),
        ("rows", [1, 1], "certificate rows: must be distinct"),
    ],
)
def test_broken_stages_are_named(name, value, message):
    """Weights below 0 or without a row would prove anything, or end in a traceback."""
    values = branched()
    values["stages"] = [{**values["stages"][0], name: value}]
    with pytest.raises(InvalidInput, match=message):
        prove(KCenter(SQUARES, 3), values)
