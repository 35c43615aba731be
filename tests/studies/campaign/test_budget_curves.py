"""Area under the budget curve, values at a budget, labels to a goal."""

import numpy as np
import pytest

from labelcut import InvalidInput
from labelcut.studies.campaign.budget_curves import (
    auc_at_budget,
    labels_to_reach,
    metric_at_budget,
)

TEN, FIVE, TWO = (np.arange(1, 6) * step for step in (0.1, 0.05, 0.02))


@pytest.mark.parametrize(
    ("shares", "full", "published"),
    [
        (TEN, 68.42, 27.37),  # Cityscapes, table 2
        (TEN, 56.87, 22.75),  # A2D2 Pool-0f
        (TEN, 67.07, 26.83),  # with dropout
        (TEN, 56.47, 22.59),
        (FIVE, 77.00, 15.40),  # VOC 5-5, table 3
        (TEN, 77.00, 30.80),  # VOC 10-10
        (TEN, 53.25, 21.30),  # Pool-5f, table 4
        (TEN, 48.85, 19.54),  # Pool-11f
        (TEN, 49.23, 19.69),  # Pool-21f
        (TEN, 46.03, 18.41),  # Pool-Aug
        (TEN, 53.82, 21.53),
        (TEN, 50.86, 20.34),
        (TEN, 50.43, 20.17),
        (TEN, 46.62, 18.65),
        (TWO, 77.00, 6.16),  # VOC 2-2, table 7
    ],
)
def test_fully_labeled_lines_of_paper_002(shares, full, published):
    """AUC@B would not be the paper's: its areas count shares from 0, or percentages."""
    area = auc_at_budget(shares, [full] * len(shares))
    assert area == pytest.approx(published, abs=0.0051)


def test_table_5_follows_from_no_curve_up_to_its_budget():
    """The one published area that cannot be ours would be taken for a mistake of ours."""
    # 66.65 from 0 to 7.5 % is 5.00 at most; the table says 6.64.
    assert auc_at_budget([0.0, 0.075], [66.65, 66.65]) < 5.0 < 6.64


def test_area_is_of_trapezoids():
    """Curves that rise would be counted by their left or right ends."""
    # 0.1 * (50 + 60) / 2 + 0.2 * (60 + 80) / 2
    assert auc_at_budget([0.1, 0.2, 0.4], [50, 60, 80]) == pytest.approx(5.5 + 14.0)
    # Up to 0.3, where the line stands at 70.
    assert auc_at_budget([0.1, 0.2, 0.4], [50, 60, 80], 0.3) == pytest.approx(5.5 + 6.5)
    assert auc_at_budget([0.1, 0.2, 0.4], [50, 60, 80], 0.2) == pytest.approx(5.5)


def test_curves_are_taken_together():
    """Strategies and seeds would be mixed up."""
    values = np.array([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, np.nan]]])
    areas = auc_at_budget([0.0, 0.5], values)
    assert areas.shape == (2, 2)
    assert areas[0].tolist() == [0.75, 1.75]
    assert areas[1, 0] == 2.75
    assert np.isnan(areas[1, 1])
    assert metric_at_budget([0.0, 0.5], values, 0.25)[0].tolist() == [1.5, 3.5]


def test_value_at_a_point_needs_no_other():
    """A missing neighbour would turn a known value into NaN."""
    assert metric_at_budget([0.1, 0.2, 0.3], [np.nan, 7.0, np.nan], 0.2) == 7.0


@pytest.mark.parametrize(
    ("values", "goal", "labels"),
    [
        ([0.2, 0.4, 0.8], 0.6, 250),
        ([0.2, 0.4, 0.8], 0.4, 200),
        ([0.2, 0.4, 0.8], 0.1, 100),
        ([0.2, 0.4, 0.8], 0.9, np.nan),
        ([0.2, 0.8, 0.1], 0.5, 150),  # the first time
        ([np.nan, 0.4, 0.8], 0.6, 250),
        ([0.2, np.nan, 0.8], 0.5, 200),  # the line leads over what is missing
        ([np.nan] * 3, 0.5, np.nan),
    ],
)
def test_labels_to_reach_a_goal(values, goal, labels):
    """Savings would be told of another point than where the curve gets there."""
    assert labels_to_reach([100, 200, 300], values, goal) == pytest.approx(labels, nan_ok=True)


@pytest.mark.parametrize(
    ("shares", "values", "budget", "message"),
    [
        ([10, 20], [1, 2], None, "not percentages"),
        ([0.2, 0.1], [1, 2], None, "must ascend"),
        ([0.1], [1], None, "two at least"),
        ([0.1, 0.2], [1, 2, 3], None, "2 points along the last axis"),
        ([0.1, 0.2], [1, 2], 0.1, "must lie in the curve, 0.1 < B <= 0.2"),
        ([0.1, 0.2], [1, 2], 50, "got 50"),
    ],
)
def test_bad_curves_are_refused(shares, values, budget, message):
    """An area of percentages would be a hundred times the papers'."""
    with pytest.raises(InvalidInput, match=message):
        auc_at_budget(shares, values, budget)
