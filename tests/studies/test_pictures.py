"""Pictures of choices: there, whole, and of what they say."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from labelcut import ClassBalanced, Forbid, Include, InvalidInput, entropy, solve
from labelcut.studies import plot_choices


def choices_of(problem, *methods):
    """Solve in this process."""
    return {name: solve(problem, name) for name in methods}


def pool(n_classes, size=200, budget=60):
    """Draw a pool of rows."""
    probs = np.random.default_rng(0).dirichlet(np.full(n_classes, 0.3), size)
    return ClassBalanced(probs, entropy(probs), budget)


def read(path):
    """Return a picture's height, width and how many colours it has."""
    pixels = imread(path)[..., :3]
    colours = np.unique((pixels * 255).astype(np.uint8).reshape(-1, 3), axis=0)
    return pixels.shape[0], pixels.shape[1], len(colours)


@pytest.mark.parametrize("n_classes", [2, 200])
def test_picture_is_readable_and_not_blank(tmp_path, n_classes):
    """A picture would be missing, empty or too small to read with few or many classes."""
    problem = pool(n_classes)
    plot_choices(problem, choices_of(problem, "greedy", "top"), tmp_path / "c.png")
    height, width, colours = read(tmp_path / "c.png")
    assert height >= 400
    assert width >= 2 * height
    assert colours > 20


@pytest.mark.parametrize(
    ("truth", "panels"),
    [
        (None, 2),
        ([0, 0, 0, 1, 1, 1], 3),
        ([0, 0, -1, 1, -1, -1], 3),
        ([0, -1, 0, 1, 1, 1], 2),  # of greedy's rows all are known, of top's not
    ],
)
def test_true_classes_are_drawn_only_where_all_are_known(drawn, two_classes, truth, panels):
    """Predicted classes would be shown as true ones, or unknown ones counted."""
    figure = drawn(two_classes, choices_of(two_classes, "greedy", "top"), truth=truth)
    assert len(figure.axes) == panels


def test_bars_have_the_heights_worked_out_by_hand(drawn, two_classes):
    """Bars would be of another choice, of another class, or of predictions where truth is said."""
    truth = [1, 0, 0, 1, 1, 1]
    figure = drawn(two_classes, choices_of(two_classes, "top", "greedy"), truth=truth)
    predicted, true, _ = figure.axes
    heights = [[bar.get_height() for bar in bars] for bars in predicted.containers]
    assert heights == [[2, 0], [1, 1]]
    assert [[bar.get_height() for bar in bars] for bars in true.containers] == [[1, 1], [0, 2]]
    assert predicted.get_title().startswith("predicted")
    assert true.get_title() == "true classes"


@pytest.mark.parametrize(("n_classes", "bars", "lines"), [(30, 2, 0), (31, 0, 2)])
def test_many_classes_are_lines(drawn, n_classes, bars, lines):
    """Hundreds of bars would be thinner than a pixel, or few classes joined by a line."""
    problem = pool(n_classes)
    axis = drawn(problem, choices_of(problem, "greedy", "top")).axes[0]
    assert (len(axis.containers), len(axis.get_lines())) == (bars, lines)


def test_terms_are_where_they_belong(drawn, two_classes):
    """Utility and imbalance would be swapped, or a bound drawn that nobody proved."""
    figure = drawn(two_classes, choices_of(two_classes, "top", "greedy"))
    lines = figure.axes[-1].get_lines()
    points = [(*line.get_xdata(), *line.get_ydata()) for line in lines]
    assert points == [pytest.approx((2, 1.7)), pytest.approx((0, 1.2))]
    colours = [bars[0].get_facecolor()[:3] for bars in figure.axes[0].containers]
    from matplotlib.colors import to_rgb

    assert [to_rgb(line.get_markeredgecolor()) for line in lines] == colours


def test_the_bound_is_the_line_that_nothing_passes(drawn, two_classes):
    """The line would lie where better choices are possible."""
    figure = drawn(two_classes, choices_of(two_classes, "top", "relaxed"))
    *_, bound = figure.axes[-1].get_lines()
    assert bound.get_label() == "proven bound"
    # -1.2 = -utility + 1 * imbalance, so utility = 1.2 + imbalance.
    assert bound.get_xy1() == pytest.approx((0, 1.2), abs=1e-6)
    assert bound.get_slope() == 1
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(labels) == ["proven bound", "relaxed", "target Ω", "top"]


@pytest.mark.parametrize("suffix", ["svg", "pdf", "PNG"])
def test_suffix_says_the_format(tmp_path, two_classes, suffix):
    """A picture for print would be made of pixels."""
    path = tmp_path / f"c.{suffix}"
    plot_choices(two_classes, choices_of(two_classes, "top"), path)
    start = {"svg": b"<?xml", "pdf": b"%PDF", "PNG": b"\x89PNG"}[suffix]
    assert path.read_bytes().startswith(start)


def test_a_picture_is_whole_or_not_there(tmp_path, two_classes, monkeypatch):
    """A failure would leave half a picture, in place of a good one."""
    path = tmp_path / "c.png"
    path.write_bytes(b"the old picture")

    def fail(self, name, **_):
        with open(name, "wb") as file:
            file.write(b"half")
        raise RuntimeError("half way")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(RuntimeError, match="half way"):
        plot_choices(two_classes, choices_of(two_classes, "top"), path)
    assert path.read_bytes() == b"the old picture"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("c.bmp2", r"plot: .* c\.bmp2 has the suffix '\.bmp2'; use \.png, \.svg or \.pdf"),
        ("c", "has no suffix"),
        ("nope/c.png", "nope: no such folder"),
        (".", "use .png"),
    ],
)
def test_a_bad_place_is_refused(tmp_path, two_classes, name, message):
    """A picture would be written nowhere, or as something that no viewer opens."""
    with pytest.raises(InvalidInput, match=message):
        plot_choices(two_classes, choices_of(two_classes, "top"), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_draw_is_said(tmp_path):
    """An empty picture would look like a result."""
    constraints = [Include([0]), Forbid([0])]
    problem = ClassBalanced(np.eye(4), np.ones(4), 2, constraints=constraints)
    for choices in ({}, choices_of(problem, "top")):
        with pytest.raises(InvalidInput, match="nothing to draw"):
            plot_choices(problem, choices, tmp_path / "c.png")


def test_truth_that_does_not_fit_is_refused(tmp_path, two_classes):
    """A panel would show labels of other rows."""
    choices = choices_of(two_classes, "top")
    with pytest.raises(InvalidInput, match="truth: must hold one class for each of 6 rows"):
        plot_choices(two_classes, choices, tmp_path / "c.png", truth=[0, 1])
