"""How strategies end, what that saves, and which differences are more than chance."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from labelcut import InvalidInput
from labelcut.studies.campaign import Record, Results, write_report
from labelcut.studies.campaign.report_tables import best_first
from labelcut.studies.campaign.significance import penalty_matrix
from labelcut.studies.campaign.summary import curves_of, penalties, standings

NONE = np.zeros(0, np.int64)


def results(table, metric="accuracy", names=("random", "good", "bad")):
    """Return records with a metric ``(strategies, seeds, cycles)``; NaN: no such record."""
    return Results(
        tuple(
            Record(
                names[s], seed, cycle, 10 * (cycle + 1), 0.1 * (cycle + 1), {metric: value},
                NONE, NONE, NONE,
            )
            for (s, seed, cycle), value in np.ndenumerate(np.asarray(table))
            if not np.isnan(value)
        )
    )  # fmt: skip


@pytest.fixture
def table():
    """Return 3 strategies x 4 seeds x 3 cycles; the second is better, the third worse."""
    rng = np.random.default_rng(0)
    means = np.array([[0.5, 0.6, 0.7], [0.5, 0.7, 0.8], [0.5, 0.55, 0.62]])
    return means[:, None, :] + 0.01 * rng.normal(size=(3, 4, 3))


def test_standings_are_of_the_last_point(table):
    """Strategies would be compared at another budget, or against another baseline."""
    random, good, bad = standings(curves_of(results(table)))
    assert good.end == pytest.approx(table[1, :, 2].mean())
    assert good.end_std == pytest.approx(table[1, :, 2].std(ddof=1))
    assert good.middle == pytest.approx(table[1, :, 1].mean())
    areas = 0.1 * (table[1, :, 0] / 2 + table[1, :, 1] + table[1, :, 2] / 2)
    assert good.auc == pytest.approx(areas.mean())
    assert good.auc_std == pytest.approx(areas.std(ddof=1))
    assert good.gain == pytest.approx(table[1, :, 2].mean() - table[0, :, 2].mean())
    p = [stats.ttest_ind(table[k, :, 2], table[0, :, 2], equal_var=False).pvalue for k in (1, 2)]
    # Holm: the smaller of two times two, the larger as it is but not below the other.
    assert sorted([good.p, bad.p]) == pytest.approx(sorted([2 * min(p), max(2 * min(p), max(p))]))
    assert np.isnan(random.p)
    assert np.isnan(random.gain)
    assert (good.beats, random.beats, bad.beats) == (2, 1, 0)


def test_labels_are_to_reach_what_random_has_at_the_end(table):
    """The best value that random ever had would be asked for, where its curve falls again."""
    table[0] = np.array([0.5, 0.8, 0.6])
    table[1] = np.array([0.5, 0.6, 0.7])
    random, good, _ = standings(curves_of(results(table)))
    assert good.labels == pytest.approx(20)
    assert random.labels == pytest.approx(10 + 10 / 3)


def test_labels_saved_against_random(table):
    """The report would promise savings that the curves do not show."""
    random, good, bad = standings(curves_of(results(table)))
    means = table.mean(axis=1)
    part = (means[0, 2] - means[1, 1]) / (means[1, 2] - means[1, 1])
    at = (
        20 + 10 * part
        if part > 0
        else 10 + 10 * (means[0, 2] - means[1, 0]) / (means[1, 1] - means[1, 0])
    )
    assert good.labels == pytest.approx(at)
    assert good.saved == pytest.approx(1 - at / 30)
    assert (random.labels, random.saved) == (pytest.approx(30), pytest.approx(0))
    assert np.isnan(bad.labels)


def test_unfinished_runs_do_not_count_at_the_end(table):
    """A run that is half done would lower its strategy's mean."""
    table[1, 3, 2] = table[2, :, 2] = np.nan
    random, good, bad = standings(curves_of(results(table)))
    assert (random.seeds, good.seeds, bad.seeds) == (4, 3, 0)
    assert good.end == pytest.approx(table[1, :3, 2].mean())
    assert np.isnan(bad.end)
    assert np.isnan(bad.p)
    assert bad.beats == 0


def test_penalties_leave_out_the_first_point(table):
    """The model that all share would count as a cycle without winners."""
    told = penalties(curves_of(results(table)))
    assert told.wins.tolist() == [[0, 0, 1], [1, 0, 1], [0, 0, 0]]
    assert penalties(curves_of(results(table[:, :1]))) is None
    assert penalties(curves_of(results(table[:1]))) is None
    assert penalties(curves_of(results(table[:, :, :1]))) is None


def test_without_a_baseline_there_is_nothing_to_compare(table):
    """The first strategy would silently be taken for random."""
    curves = curves_of(results(table, names=("a", "b", "c")))
    assert curves.baseline is None
    assert all(
        np.isnan([row.gain, row.p, row.labels, row.saved]).all() for row in standings(curves)
    )
    assert curves_of(results(table, names=("a", "b", "c")), baseline="b").baseline == 1


def test_the_metric_is_the_one_asked_for(table):
    """A segmentation campaign would have no report, or one of another number."""
    both = results(table, metric="miou")
    assert curves_of(both).metric == "miou"
    assert curves_of(results(table, metric="audit_accuracy")).metric == "audit_accuracy"
    with pytest.raises(InvalidInput, match="metric: the records hold miou; got 'accuracy'"):
        curves_of(both, "accuracy")
    with pytest.raises(InvalidInput, match="must hold a finished cycle"):
        curves_of(Results(()))
    bare = Record("random", 0, 0, 10, 0.1, {}, NONE, NONE, NONE)
    with pytest.raises(InvalidInput, match="hold no metric"):
        curves_of(Results((bare,)))


def test_percent_is_for_shares_only(table):
    """An mIoU that comes in percent would be shown times a hundred."""
    assert curves_of(results(table)).scale == 100
    assert curves_of(results(100 * table)).scale == 1


def test_where_lower_is_better_the_lowest_wins(table):
    """The strategy with the most lopsided labels would be called the best."""
    curves = curves_of(results(table, "l1_true"))
    assert curves.lower
    random, good, bad = standings(curves)
    assert (good.beats, random.beats, bad.beats) == (0, 1, 2)
    assert bad.end == pytest.approx(table[2, :, 2].mean())
    assert bad.gain == pytest.approx(table[2, :, 2].mean() - table[0, :, 2].mean())
    # From 0.5 at once: all begin below what random has at the end.
    assert (good.labels, bad.labels, random.labels) == (10, 10, 10)
    assert penalties(curves).phi == pytest.approx(penalty_matrix([-table[:, :, 1:]]).phi)
    assert not curves_of(results(table)).lower
    assert curves_of(results(table), lower=True).lower
    assert best_first(curves, standings(curves)) == [2, 0, 1]


def test_both_models_of_a_strategy_have_a_curve(table, tmp_path):
    """Of two-models, the model that the thesis shows to be the better one would be left out."""
    first, second = results(table), results(table + 0.1, "accuracy_b", ("none", "good", "none"))
    both = [
        replace(record, metrics={**record.metrics, **other.metrics})
        if record.strategy == other.strategy
        else record
        for record, other in zip(first.records, second.records, strict=True)
    ]
    curves = curves_of(Results(tuple(both)))
    assert curves.names == ("random", "good", "bad", "good (b)")
    assert curves.baseline == 0
    assert curves.values[:3] == pytest.approx(table)
    assert curves.values[3] == pytest.approx(table[1] + 0.1)
    assert standings(curves)[3].beats == 3
    path = write_report(Results(tuple(both)), tmp_path / "r.html", title="Both")
    text = path.read_text("utf-8")
    assert "3 strategies, 4 seeds, 3 models a run" in text
    assert "good (b) ends highest" in text
    assert "In brackets: models" in text
    assert "Not finished" not in text
