"""Problems small enough to work out by hand, and a look at tables as text."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from labelcut import ClassBalanced, KCenter
from labelcut.studies import plot_choices


@pytest.fixture
def two_classes():
    """Six rows, the first three of class 0 and more useful.

    The best two are rows 0 and 3: -(0.9 + 0.3) + 0 = -1.2. Top utility takes rows 0 and 1:
    -(0.9 + 0.8) + |1 - 2| + |1 - 0| = 0.3.
    """
    utility = [0.9, 0.8, 0.7, 0.3, 0.2, 0.1]
    return ClassBalanced(np.repeat(np.eye(2), 3, axis=0), utility, budget=2, target=[1, 1])


@pytest.fixture
def rendered():
    """Print what tables hold, as a wide terminal without colours does."""

    def text(*renderables):
        file = io.StringIO()
        console = Console(file=file, width=200, highlight=False, markup=False)
        for renderable in renderables:
            console.print(renderable)
        return file.getvalue()

    return text


@pytest.fixture
def six_points():
    """Six points on a line; of two centers one leaves the other end 2 away at best.

    Rows 0, 1, 2 lie at 0, 1, 2 and rows 3, 4, 5 at 10, 12, 14: rows 1 and 4 have the radius 2.
    """
    return KCenter([[0.0], [1.0], [2.0], [10.0], [12.0], [14.0]], budget=2)


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Draw, and return the figure instead of the file."""
    figures = []

    def draw(problem, choices, **arguments):
        plot_choices(problem, choices, tmp_path / "c.png", **arguments)
        return figures[-1]

    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    return draw
