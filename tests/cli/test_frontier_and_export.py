"""`labelcut frontier` and `labelcut export`, as a user runs them."""

import pytest

import labelcut as library
from labelcut.studies.trade_off import Frontier


def test_the_frontier_is_printed_and_drawn(labelcut, two_classes):
    """A script could not read the trade-off, or a person not see it."""
    result = labelcut("frontier", two_classes, "--lambda", 0, "--lambda", 1, "--json")
    content = result.json["frontier"]
    assert result.code == 0
    assert [point["balance"] for point in content["points"]] == [0, 1]
    assert content["knee"] >= 0
    picture = two_classes.with_name("f.png")
    shown = labelcut("frontier", two_classes, "--plot", picture)
    assert (shown.code, shown.out) == (0, "")
    assert "knee: λ" in shown.err
    assert picture.exists()


def test_the_model_is_written(labelcut, two_classes):
    """Other solvers would get nothing to solve."""
    model = two_classes.with_name("m.mps")
    result = labelcut("export", two_classes, model, "--json")
    assert result.code == 0
    assert result.json["export"]["bytes"] == model.stat().st_size


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("frontier", "{file}", "--lambda", "-1"), "lambdas: must be finite numbers"),
        (("frontier", "{file}", "--plot", "f.txt"), "plot: the suffix says the format"),
        (("export", "{file}", "m.txt"), "export: the model file ends in .mps"),
    ],
)
def test_bad_input_is_one_line(labelcut, two_classes, arguments, message):
    """A traceback would tell a user nothing."""
    result = labelcut(*(str(two_classes) if part == "{file}" else part for part in arguments))
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_a_frontier_that_was_not_begun_in_time_is_no_answer(labelcut, two_classes, monkeypatch):
    """A traceback would follow where a limit was too short, as constraints may make it."""
    empty = Frontier(library.load(two_classes), ())
    monkeypatch.setattr("labelcut.studies.frontier", lambda *_, **__: empty)
    result = labelcut("frontier", two_classes)
    assert (result.code, result.out) == (3, "")
    assert result.err == ("time ran out before the first λ was solved; raise --time-limit\n")
    with pytest.raises(library.InvalidInput, match="no λ was solved in time; raise time_limit"):
        empty.knee()
