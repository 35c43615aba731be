"""Pictures of a campaign show the numbers they are of."""

from dataclasses import replace

import numpy as np
import pytest

from labelcut.studies.campaign import Pool, Record, Results, report_figures
from labelcut.studies.campaign.report_sections import class_section, map_section
from labelcut.studies.campaign.significance import PenaltyMatrix
from labelcut.studies.campaign.summary import Curves

NAMES = ("random", "good", "bad")


@pytest.fixture
def curves():
    """Return curves of three strategies, two seeds and two points."""
    values = np.array(
        [[[0.5, 0.6], [0.4, 0.7]], [[0.5, 0.8], [0.4, 0.7]], [[0.5, 0.5], [0.4, 0.3]]]
    )
    return Curves(NAMES, values, np.array([10.0, 20.0]), np.array([0.1, 0.2]), "accuracy", 0)


def lines(axis):
    """Return the heights of an axis's lines by label."""
    return {line.get_label(): np.asarray(line.get_ydata()) for line in axis.lines}


def test_learning_curves_are_means_in_percent(curves):
    """A figure in a paper would not be that of its table."""
    figure = report_figures.learning_curves(curves, {"all": 0.9})
    top, bottom = figure.axes
    assert lines(top)["good"] == pytest.approx([45, 75])
    assert lines(top)["all"] == pytest.approx([90, 90])
    assert lines(bottom)["good"] == pytest.approx([0, 10])
    assert lines(bottom)["random"] == pytest.approx([0, 0])
    # Seed by seed: 0.8 - 0.6 and 0.7 - 0.7, so that the band reaches from 10 ± 14.1.
    band = bottom.collections[1].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((10 - 14.142, 10 + 14.142), abs=1e-2)


def test_the_penalty_map_sorts_rows_and_columns_alike():
    """A win would stand at another pair of names."""
    wins = np.array([[0.0, 0.0, 0.5], [1.0, 0.0, 0.25], [0.0, 0.0, 0.0]])
    axis = report_figures.penalty_map(PenaltyMatrix(wins, wins.mean(axis=0)), NAMES).axes[0]
    cells = np.asarray(axis.images[0].get_array())
    columns = [text.get_text() for text in axis.get_xticklabels()]
    rows = [text.get_text() for text in axis.get_yticklabels()]
    assert columns == ["good", "bad", "random"]
    assert rows == [*columns, "Φ (mean)"]
    for i, one in enumerate(NAMES):
        for j, other in enumerate(NAMES):
            assert cells[rows.index(one), columns.index(other)] == wins[i, j]
    assert cells[-1].tolist() == pytest.approx([0, 0.25, 1 / 3])


def records():
    """Return two cycles of one run over six rows; row 5 is of the audit slice."""
    chosen, audit = np.array([2, 5]), np.array([5])
    none, first, then = np.zeros(0, np.int64), np.array([1, 1]), np.array([3, 1])
    return Results(
        (
            Record("random", 0, 0, 2, 1 / 3, {"accuracy": 0.5}, chosen, first, audit),
            Record("random", 0, 1, 4, 2 / 3, {"accuracy": 0.5}, none, then, none),
        )
    )


def test_the_map_shows_what_the_strategy_chose(monkeypatch):
    """Audit rows, drawn at random, would hide a mode collapse."""
    seen, draw = {}, report_figures.chosen_map

    def note(places, chosen, cycles):
        seen.update(chosen)
        return draw(places, chosen, cycles)

    monkeypatch.setattr(report_figures, "chosen_map", note)
    pool = Pool(np.arange(12.0).reshape(6, 2), truth=[0, 1] * 3, classes=2)
    assert len(list(map_section(records(), pool.inputs, "pca"))) == 1
    assert [rows.tolist() for rows in seen["random"]] == [[2], []]


def test_class_histograms_grow_by_cycle(monkeypatch):
    """The classes of another cycle would be taken for those of the end."""
    figures = []
    draw = report_figures.class_histograms
    monkeypatch.setattr(
        report_figures,
        "class_histograms",
        lambda *given: figures.append(draw(*given)) or figures[0],
    )
    assert len(list(class_section(records()))) == 1
    steps = {p.get_label(): p.get_data().values.tolist() for p in figures[0].axes[0].patches}
    assert steps == {"initial set": [1, 1], "chosen in cycle 0": [3, 1]}


def test_a_cycle_has_one_name_and_color_in_histograms_and_map():
    """What cycle 0 chose would be looked for in the bars of the initial set."""
    bars = report_figures.class_histograms(np.cumsum(np.ones((1, 3, 2)), axis=1), "a", [0, 1, 2])
    dots = report_figures.chosen_map(np.eye(3, 2), {"a": [[0], [1], []]}, [0, 1, 2])
    bars, dots = (
        {one.get_label(): one for one in figure.axes[0].get_children()} for figure in (bars, dots)
    )
    for name in ("chosen in cycle 0", "chosen in cycle 1"):
        assert tuple(dots[name].get_color()) == bars[name].get_facecolor()


def test_a_single_row_of_histograms_has_room_for_its_label():
    """The label of the axis would be cut at both ends."""
    figure = report_figures.class_histograms(np.ones((2, 1, 3)), ("a", "b"), [0])
    figure.draw_without_rendering()
    box = figure.get_supylabel()
    label = next(text for text in figure.texts if text.get_text() == box)
    extent = label.get_window_extent()
    assert 0 <= extent.y0 < extent.y1 <= figure.bbox.height


def test_dispersion_bars_leave_out_what_is_empty():
    """A bin without rows would have an accuracy."""
    figure = report_figures.dispersion_bars(
        np.array([0.0, 0.5, 1.0]), np.array([4.0, 0.0]), np.array([0.75, np.nan])
    )
    bars, line = figure.axes
    assert bars.patches[0].get_data().values.tolist() == [4, 0]
    assert line.lines[0].get_ydata().tolist() == [75]


def test_labeled_rows_are_counted_in_whole_numbers(curves):
    """A reader would look for the model of 12.5 labels."""
    close = replace(curves, labeled=np.array([10.0, 12.0]))
    panels = report_figures.metric_panels([close], ["accuracy"]).axes
    for axis in [*report_figures.learning_curves(close).axes, *panels]:
        assert axis.get_xticks() == pytest.approx(np.rint(axis.get_xticks()))


def test_classes_are_called_by_their_names(monkeypatch):
    """Whoever labeled cats would read of class 1."""
    drawn, draw = [], report_figures.class_histograms

    def note(*arguments):
        drawn.append(draw(*arguments))
        return drawn[-1]

    monkeypatch.setattr(report_figures, "class_histograms", note)
    list(class_section(records(), ("dog", "cat")))
    ticks = [text.get_text() for text in drawn[0].axes[0].get_xticklabels()]
    assert ticks == ["dog", "cat"]


def test_a_flat_map_has_flat_panels():
    """Points that lie along a line would be dots in the middle of empty squares."""
    heights = []
    for high in (2.0, 0.1):
        places = np.array([[0.0, 0.0], [1.0, high], [2.0, 0.0]])
        figure = report_figures.chosen_map(places, {"a": [[0], []], "b": [[1], []]}, [0, 1])
        figure.draw_without_rendering()
        heights.append(figure.axes[0].get_window_extent().height)
    assert heights[1] < 0.6 * heights[0]
