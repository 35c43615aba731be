"""Pictures of chosen regions: the right ones, over the right images."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from labelcut import InvalidInput
from labelcut.studies import plot_regions

TABLE = {
    "image": np.repeat([0, 1, 2], 4),
    "top": np.tile([0, 0, 10, 10], 3),
    "left": np.tile([0, 20, 0, 20], 3),
    "height": np.full(12, 10),
    "width": np.full(12, 20),
}


def gray(image):
    """Give a picture of 20 x 40 pixels."""
    return np.full((20, 40), image / 3)


def test_rectangles_lie_where_the_table_says(tmp_path, monkeypatch):
    """A reader would look at regions nobody chose."""
    figures = []
    plain = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: figures.append(self) or plain(self, *a, **k)
    )
    plot_regions([1, 6, 7], TABLE, gray, tmp_path / "r.png")
    axes = [axis for axis in figures[0].axes if axis.images]
    assert [axis.get_title() for axis in axes] == ["image 1: 2 regions", "image 0: 1 regions"]
    boxes = [[patch.get_bbox().bounds for patch in axis.patches] for axis in axes]
    assert boxes == [[(-0.5, 9.5, 20, 10), (19.5, 9.5, 20, 10)], [(19.5, -0.5, 20, 10)]]
    assert imread(tmp_path / "r.png").shape[1] > 300


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], TABLE, gray, "r.png"), r"plot: no region is chosen"),
        (([0], {"image": [0]}, gray, "r.png"), r"table: must have the columns image, top, left"),
        (([0], TABLE, gray, "r.doc"), r"r.doc"),
    ],
)
def test_what_cannot_be_drawn_is_said(arguments, message, tmp_path, monkeypatch):
    """The user would meet an error of matplotlib's."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput, match=message):
        plot_regions(*arguments)
    assert list(tmp_path.iterdir()) == []
