"""The report holds what the records say, in one file that needs no other."""

import base64
import io
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.image import imread

from labelcut import InvalidInput
from labelcut.studies.campaign import Pool, Record, Results
from labelcut.studies.campaign.audit import audit_metrics
from labelcut.studies.campaign.choices import dispersion_metrics, portion_metrics
from labelcut.studies.campaign.report import write_report
from labelcut.studies.campaign.report_sections import ReportOptions, place

N, CLASSES, STEP, CYCLES = 60, 3, 8, 4
NAMES = ("random", "entropy", "k<center> & 'more'")
PCA = ReportOptions(projection="pca")


class Page(HTMLParser):
    """What a browser would find."""

    def __init__(self, text):
        """Read the page."""
        super().__init__()
        self.tags, self.pictures, self.links, self.rows, self.headings = [], [], [], [], []
        self.open = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Note tags, and everything that could lead outside."""
        told = dict(attrs)
        self.tags.append(tag)
        if tag not in ("meta", "img"):
            self.open.append(tag)
        if tag == "img":
            assert told["alt"]
            self.pictures.append(told["src"])
        self.links += [told[name] for name in ("href", "src", "data", "action") if name in told]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag in ("h1", "h2"):
            self.headings.append("")

    def handle_endtag(self, tag):
        """Tags close in the order in which they were opened."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Keep texts of cells and headings."""
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings[-1] += data

    def row(self, *start):
        """Return the rows that begin with these texts."""
        return [row for row in self.rows if row[: len(start)] == list(start)]


def make_pool():
    """Return three clumps of twenty rows."""
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(CLASSES), N // CLASSES)
    return Pool(rng.normal(size=(N, 4)) + 5 * truth[:, None], truth=truth, classes=CLASSES)


def make_records(names=NAMES, seeds=3, *, told=True):
    """Return what campaigns with more and more accurate models might record."""
    pool, rng, records = make_pool(), np.random.default_rng(1), []
    for at, name in enumerate(names):
        for seed in range(seeds):
            order = np.random.default_rng((at, seed)).permutation(N)
            for cycle in range(CYCLES):
                labeled = order[: STEP * (cycle + 1)]
                last = cycle == CYCLES - 1
                chosen = np.sort(order[STEP * (cycle + 1) :][: 0 if last else STEP])
                metrics = {"accuracy": 0.5 + 0.1 * cycle + 0.05 * at + 0.01 * rng.random()}
                if told:
                    metrics |= audit_metrics(rng.random(2 * cycle) < 0.8, np.ones(2 * cycle, bool))
                    metrics |= {"l1_true": 0.1 * at, "redundancy": 0.25, "seconds_train": 1.5}
                    metrics |= portion_metrics(rng.random(20) < 0.5, rng.random(20))
                    metrics |= dispersion_metrics(rng.random(20) < 0.5, rng.random(20))
                records.append(
                    Record(
                        name, seed, cycle, len(labeled), len(labeled) / N, metrics, chosen,
                        np.bincount(pool.truth[labeled], minlength=CLASSES), chosen[:2],
                        len(records),
                    )
                )  # fmt: skip
    return Results(tuple(records))


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Return the folder, records and page of a whole report."""
    folder, results = tmp_path_factory.mktemp("report"), make_records()
    options = ReportOptions(projection="pca", full={"all labeled": 0.97})
    path = write_report(
        results, folder / "out.html", title="A <b> & C", pool=make_pool(), options=options
    )
    assert path == folder / "out.html"
    return folder, results, Page(path.read_text("utf-8"))


def test_one_file_needs_no_other(report):
    """A report sent by mail would come without its pictures, or tell others that it was opened."""
    folder, _, page = report
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    text = (folder / "out.html").read_text("utf-8")
    assert "http" not in text
    assert "url(" not in text
    assert "width=device-width" in text
    assert "prefers-color-scheme: dark" in text


def test_pictures_in_the_page_are_those_beside_it(report):
    """A paper's figure would differ from the one in the report, or be blank."""
    folder, _, page = report
    beside = {path.name: path.read_bytes() for path in folder.glob("*.png")}
    assert set(beside) == {
        f"out-{name}.png"
        for name in (
            "curves", "penalties", "classes", "choices", "portions", "dispersion", "map",
        )
    }  # fmt: skip
    inside = [base64.b64decode(source.partition(",")[2]) for source in page.pictures]
    assert sorted(inside) == sorted(beside.values())
    for picture in inside:
        pixels = imread(io.BytesIO(picture))
        assert pixels.shape[1] > 800
        assert pixels[..., :3].std() > 0.02
    assert {path.name for path in folder.iterdir()} == {*beside, "out.html"}


def test_names_are_shown_as_they_are(report):
    """A strategy's name would break the page, or run in the reader's browser."""
    page = report[2]
    assert page.headings[0] == "A <b> & C"
    assert "b" not in page.tags
    assert page.row("k<center> & 'more'†")
    assert page.open == []


def test_tables_hold_the_records_numbers(report):
    """A reader would be told of another campaign."""
    _, results, page = report
    last = 100 * results.table("accuracy")[:, :, -1]
    rows = page.row("entropy")
    assert rows[0][:3] == ["entropy", "3", f"{last[1].mean():.2f} ± {last[1].std(ddof=1):.2f}"]
    middle = 100 * results.table("accuracy")[1, :, CYCLES // 2].mean()
    assert rows[0][3] == f"{middle:.2f}"
    assert rows[1][1] == f"{last[1].mean() - last[0].mean():+.2f}"
    choice = next(row for row in rows if row[1:] == ["0.100", "0.250"])
    assert choice
    assert ["entropy", "1.500"] in rows
    seen = sum(r.metrics["audit_seen"] for r in results.records if r.key[::2] == ("entropy", 3))
    audit = next(row for row in rows if row[1:3] == ["3", f"{seen:.0f}"])
    right = sum(
        r.metrics["audit_seen"] * r.metrics["audit_accuracy"]
        for r in results.records
        if r.key[::2] == ("entropy", 3)
    )
    assert audit[3].startswith(f"{100 * right / seen:.1f} (")
    assert audit[5] in ("stop", "go on", "not known")
    order = [row[0].rstrip("†") for row in page.rows[1:4]]
    assert order == [NAMES[at] for at in np.argsort(-last.mean(axis=1))]


@pytest.mark.usefixtures("undrawn")
def test_an_unfinished_campaign_has_a_report(tmp_path):
    """After a night's cluster job nobody could look at what there is."""
    results = Results(make_records(told=False).records[:-5])
    path = write_report(results, tmp_path / "r.html", title="Half", options=PCA)
    assert "Not finished: 31 of 36 cycles are in." in path.read_text("utf-8")
    told = replace(PCA, left=29)
    path = write_report(results, tmp_path / "r.html", title="Half", options=told)
    assert "Not finished: 31 of 60 cycles are in." in path.read_text("utf-8")
    whole = make_records(NAMES[:2], told=False)
    write_report(whole, tmp_path / "r.html", title="All", options=PCA)
    assert (tmp_path / "r-penalties.png").exists()
    one = Results(results.records[:1])
    path = write_report(one, tmp_path / "r.html", title="One", options=PCA)
    lead = "1 strategy, 1 seed, 1 model a run; 8 labeled rows, 13.3% of the dataset."
    assert lead in path.read_text("utf-8")
    # A picture of the report before would be taken for one of this.
    assert not (tmp_path / "r-penalties.png").exists()


@pytest.mark.usefixtures("undrawn")
def test_an_unfinished_campaign_compares_the_same_seeds(tmp_path):
    """Who had an easy initial set first would lead, until the others have it too."""
    made = make_records(("random", "entropy"), seeds=3, told=False)
    # Seed 0 is finished by both, seed 1 by random alone, seed 2 by nobody.
    kept = [
        record
        for record in made.records
        if record.seed == 0 or (record.seed == 1 and record.strategy == "random")
    ]
    kept += [record for record in made.records if record.seed == 2 and record.cycle < 2]
    path = write_report(Results(tuple(kept)), tmp_path / "r.html", title="Half", options=PCA)
    page = Page(path.read_text("utf-8"))
    text = path.read_text("utf-8")
    assert "2 strategies, 3 seeds, 4 models a run" in text
    assert "Not finished: 16 of 24 cycles are in. Everything below is of 1 seed of 3 (0)" in text
    for name in ("random", "entropy"):
        row = page.row(name)[0]
        value = made.run(name, 0)[-1].metrics["accuracy"]
        assert row[1:3] == ["1", f"{100 * value:.2f}"]
    apart = [r for r in made.records if r.seed == (r.strategy == "random")]
    path = write_report(Results(tuple(apart)), tmp_path / "a.html", title="Apart", options=PCA)
    assert "their means are not of the same runs" in path.read_text("utf-8")


@pytest.mark.usefixtures("undrawn")
def test_one_seed_proves_nothing(tmp_path):
    """A reader would take that nothing was tested for that nothing is better."""
    path = write_report(make_records(seeds=1), tmp_path / "r.html", title="One", options=PCA)
    text = path.read_text("utf-8")
    assert "ends highest; one seed does not tell whether by chance." in text
    assert "beyond chance" not in text


@pytest.mark.usefixtures("undrawn")
def test_the_lead_tells_chance_from_more(tmp_path):
    """A difference by chance would be read as a win, being "above 0 of the other 1"."""
    none, close, far = np.zeros(0, np.int64), (0.5, 0.6), (0.9, 0.91)
    for other, words in (
        (close, "b ends highest; that may be by chance."),
        (far, "the other one."),
    ):
        values = {"a": (0.5, 0.51), "b": other}
        made = tuple(
            Record(
                name,
                seed,
                cycle,
                5 + cycle,
                0.1 + 0.1 * cycle,
                {"accuracy": value},
                none,
                none,
                none,
            )
            for name, pair in values.items()
            for seed, value in enumerate(pair)
            for cycle in (0, 1)
        )
        path = write_report(Results(made), tmp_path / "r.html", title="Two", options=PCA)
        assert words in path.read_text("utf-8")


@pytest.mark.usefixtures("undrawn")
def test_the_most_even_labels_are_best(tmp_path):
    """A report on the L1 score would praise the strategy with the most lopsided labels."""
    options = replace(PCA, metric="l1_true")
    path = write_report(make_records(), tmp_path / "r.html", title="L1", options=options)
    text = path.read_text("utf-8")
    assert "random ends lowest, which is best; beyond chance it is below 2 of the other 2." in text
    assert [row[0] for row in Page(text).rows[1:4]] == ["random†", *NAMES[1:]]


@pytest.mark.usefixtures("undrawn")
def test_a_person_labels_without_a_test_set(tmp_path):
    """A real campaign, one run with an audit slice and no accuracy, would have no report."""
    records = make_records(("entropy",), seeds=1).records
    kept = [
        Record(
            **{
                **vars(record),
                "metrics": {k: v for k, v in record.metrics.items() if k.startswith("audit")},
            }
        )
        for record in records
    ]
    path = write_report(Results(tuple(kept)), tmp_path / "r.html", title="Real", options=PCA)
    page = Page(path.read_text("utf-8"))
    assert "The audit slice" in page.headings
    assert "on 6 audit rows the last cycle brought" in path.read_text("utf-8")
    assert len(page.row("entropy")) == 2


def test_the_same_records_make_the_same_report(tmp_path):
    """A report could not be checked against the records it came from."""
    results = make_records(("random", "entropy"), told=False)
    texts = [
        write_report(
            results, tmp_path / f"{at}" / "r.html", title="T", pool=make_pool(), options=PCA
        ).read_text("utf-8")
        for at in range(2)
        if not (tmp_path / f"{at}").mkdir()
    ]
    assert texts[0] == texts[1]


@pytest.mark.usefixtures("undrawn")
def test_a_campaigns_own_records_fill_the_report(read, finish, tmp_path):
    """The loop would write metrics by other names than the report reads."""
    campaign = read(
        campaign="audit = 0.34",
        strategy='[[strategy]]\nname = "margin"\n[[strategy]]\nname = "dispersion"',
    )
    records = [
        record
        for name in ("unsure", "margin", "dispersion")
        for seed in (0, 1)
        for record in finish(campaign, name, seed)
    ]
    first = next(record for record in records if record.key == ("margin", 0, 0))
    assert 0 <= first.metrics["accuracy_top_5"] <= 1
    assert sum(v for k, v in records[-3].metrics.items() if "dispersion_rows" in k) == 60 - 9 - 4
    path = write_report(
        Results(tuple(records)), tmp_path / "r.html", title="Own", pool=campaign.pool, options=PCA
    )
    page = Page(path.read_text("utf-8"))
    assert page.headings == [
        "Own",
        "How the strategies did",
        "Who beats whom",
        "Classes of what was labeled",
        "What was chosen",
        "What the model knew before",
        "Where the choices lie",
        "The audit slice",
        "Other numbers",
        "Seconds of a cycle",
    ]
    macro = [record.metrics["mean_class_accuracy"] for record in records if record.cycle == 2]
    shown = f"{np.mean(macro[2:4]):.3f} ± {np.std(macro[2:4], ddof=1):.3f}"
    assert any(shown in row for row in page.row("margin"))
    ends = [record.metrics for record in records if record.key[::2] == ("margin", 2)]
    gained, lost = (sum(told[f"audit_{what}"] for told in ends) for what in ("gained", "lost"))
    audit = next(row for row in page.row("margin") if row[1:3] == ["2", "8"])
    assert audit[4].startswith(f"{100 * (gained - lost) / 8:+.1f} (")


@pytest.mark.parametrize("how", ["pca", "tsne"])
def test_clumps_stay_clumps_in_the_plane(how):
    """A mode collapse could not be seen on the map."""
    pool = make_pool()
    places = place(pool.inputs, how)
    assert places.shape == (N, 2)
    middles = np.array([places[pool.truth == k].mean(axis=0) for k in range(CLASSES)])
    nearest = np.linalg.norm(places[:, None] - middles, axis=2).argmin(axis=1)
    assert (nearest == pool.truth).mean() > 0.9


@pytest.mark.parametrize(
    ("out", "options", "message"),
    [
        ("report.pdf", PCA, "out: must end in .html; got report.pdf"),
        ("no/where.html", PCA, "no such folder"),
        ("r.html", ReportOptions(projection="umap"), "projection: must be one of auto, tsne, pca"),
        ("r.html", ReportOptions(alpha=5), "alpha: must lie between 0 and 1; got 5"),
        ("r.html", ReportOptions(metric="f1"), "metric: the records hold accuracy; got 'f1'"),
    ],
)
def test_bad_wishes_are_refused(tmp_path, out, options, message):
    """An hour's campaign would end in a traceback."""
    results = make_records(("random",), seeds=1, told=False)
    with pytest.raises(InvalidInput, match=message):
        write_report(results, tmp_path / out, title="T", options=options)
    assert not list(tmp_path.iterdir())
