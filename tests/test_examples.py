"""Every example runs, and makes what it says."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import labelcut
from labelcut.studies.campaign import load_results

EXAMPLES = Path(__file__).parents[1] / "examples"


def make(name, folder, *options):
    """Run an example in an empty folder; return the folder it made and what it printed."""
    run = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name / "make.py", "--out", "problem", *options],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return folder / "problem", run.stdout


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Run the digits example."""
    return make("digits", tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def coreset(tmp_path_factory):
    """Run the coreset example."""
    return make("coreset", tmp_path_factory.mktemp("coreset"))


@pytest.fixture(scope="module")
def dashcam(tmp_path_factory):
    """Run the dash-cam example."""
    return make("dashcam", tmp_path_factory.mktemp("dashcam"))


@pytest.fixture(scope="module")
def segmentation(tmp_path_factory):
    """Run the segmentation example on drawn scenes, with little training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("LABELCUT_DATA", raising=False)
        return make("segmentation", tmp_path_factory.mktemp("segmentation"), "--steps", "60")


@pytest.fixture(scope="module")
def detection(tmp_path_factory):
    """Run the detection example with little training."""
    return make("detection", tmp_path_factory.mktemp("detection"), "--steps", "120")


def load(folder, name="digits"):
    """Read the arrays a problem file names, by their key in it."""
    data = tomllib.loads((folder / f"{name}.toml").read_text())["data"]
    return {key: np.load(folder / name) for key, name in data.items() if name.endswith(".npy")}


@pytest.mark.slow
def test_digits_writes_arrays_that_fit_together(digits):
    """The problem file would not load, or utilities and rows would not belong together."""
    folder, _ = digits
    data = load(folder)
    rows = len(data["truth"])
    assert data["probs"].shape == (rows, 10)
    assert data["probs"].dtype == np.float32
    assert np.load(folder / "embeddings.npy").shape == (rows, 64)
    np.testing.assert_allclose(data["probs"].sum(axis=1), 1, atol=1e-5)
    probs = data["probs"].astype(float)
    entropy = -(probs * np.log(np.maximum(probs, 1e-300))).sum(axis=1)
    assert data["utility"].dtype == np.float64
    np.testing.assert_allclose(data["utility"], entropy, atol=1e-12)


@pytest.mark.slow
def test_digits_labels_are_uniform_and_the_pool_has_a_long_tail(digits):
    """The example would not show the paper's setting: a uniform start and half the classes rare."""
    folder, _ = digits
    data = load(folder)
    np.testing.assert_array_equal(data["labeled_classes"], data["truth"][data["labeled"]])
    np.testing.assert_array_equal(np.bincount(data["labeled_classes"]), [10] * 10)
    pool = np.delete(data["truth"], data["labeled"])
    counts = np.sort(np.bincount(pool, minlength=10))
    # load_digits has 174 to 183 scans of each class; 30 are held out and 10 are labeled.
    assert set(counts[:5]) <= {13, 14}
    assert (counts[5:] >= 134).all()
    assert (counts[5:] <= 143).all()


@pytest.mark.slow
def test_digits_ids_are_numbers_of_load_digits(digits):
    """A reader could not find the scan that an answer names."""
    from sklearn.datasets import load_digits

    folder, _ = digits
    ids = (folder / "ids.txt").read_text().split()
    numbers = [int(name.removeprefix("digit-")) for name in ids]
    assert len(set(numbers)) == len(numbers)
    np.testing.assert_array_equal(load_digits().target[numbers], load(folder)["truth"])


@pytest.mark.slow
def test_digits_predicts_well_and_says_what_comes_next(digits):
    """The network would be untrained, or the reader left without the next command."""
    folder, printed = digits
    data = load(folder)
    pool = np.delete(np.arange(len(data["truth"])), data["labeled"])
    assert (data["probs"][pool].argmax(axis=1) == data["truth"][pool]).mean() > 0.8
    assert "labelcut compare problem/digits.toml" in printed
    assert float(printed.split("right on ")[1].split("%")[0]) > 80


@pytest.mark.slow
def test_digits_corrects_what_it_predicts(digits):
    """The example would balance predictions and call that balance."""
    from labelcut import l1_score, solve
    from labelcut.problems import read_problem, uncorrected

    read = read_problem(digits[0] / "digits.toml")
    record = read.problem.notes()["correct"]
    assert record["applied"]
    assert record["identified"]
    scores = [
        l1_score(read.truth[solve(problem, "relaxed").indices], 10)
        for problem in (uncorrected(read.problem), read.problem)
    ]
    assert scores[1] < scores[0] - 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "coreset", "dashcam"])
def test_examples_keep_their_files_out_of_git(name, request):
    """Running an example in a checkout would leave files to commit."""
    folder, _ = request.getfixturevalue(name)
    assert (folder / ".gitignore").read_text() == "*\n"


def test_coreset_writes_scans_of_which_two_of_each_class_are_labeled(coreset):
    """The example would not show what labeled rows are for, or its ids lead to other scans."""
    from sklearn.datasets import load_digits

    folder, printed = coreset
    data = load(folder, "coreset")
    pixels, classes = load_digits(return_X_y=True)
    np.testing.assert_array_equal(data["embeddings"], pixels / 16)
    np.testing.assert_array_equal(np.bincount(classes[data["labeled"]]), [2] * 10)
    assert (folder / "ids.txt").read_text().split()[1234] == "digit-1234"
    assert "labelcut compare problem/coreset.toml" in printed


@pytest.mark.slow
def test_coreset_is_compared_and_drawn(coreset, tmp_path):
    """The command that the example prints would fail."""
    folder, _ = coreset
    command = [sys.executable, "-P", "-m", "labelcut", "compare", folder / "coreset.toml"]
    options = ["--time-limit", "2", "--plot", tmp_path / "c.png", "--json"]
    run = subprocess.run([*command, *options], check=True, capture_output=True, text=True)
    rows = json.loads(run.stdout)["comparison"]["methods"]
    assert all(row["status"] in ("optimal", "feasible") for row in rows)
    assert min(row["radius"] for row in rows) == min(row["objective"] for row in rows) > 0
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_dashcam_is_what_its_story_says(dashcam):
    """The example would solve another problem than it tells."""
    folder, printed = dashcam
    problem = labelcut.load(folder / "dashcam.toml")
    caps, night, spacing, money, wanted = problem.constraints
    assert (problem.dataset.size, problem.budget, len(wanted.rows)) == (5000, 500, 40)
    assert len(caps.labels.names) == len(spacing.labels.names) == 800
    assert (caps.at_most, night.at_least, spacing.exclude_within) == (12, {"night": 300}, 3)
    assert money.limit == 6000
    assert np.unique(money.costs)[1] == 3 * np.unique(money.costs)[0]
    order = np.lexsort((spacing.position, spacing.labels.codes))
    np.testing.assert_array_equal(order, np.arange(5000))  # as filmed
    assert "labelcut compare problem/dashcam.toml" in printed
    balanced = labelcut.load(folder / "balanced.toml")
    for one, other in zip(problem.constraints, balanced.constraints, strict=True):
        assert one.fingerprint() == other.fingerprint()
    np.testing.assert_array_equal(problem.utility, balanced.utility)


def test_dashcam_constraints_matter_and_can_be_met(dashcam):
    """The example would be infeasible, or as easy as without its constraints."""
    folder, _ = dashcam
    problem = labelcut.load(folder / "dashcam.toml")
    solution = labelcut.solve(problem, "exact", time_limit=30, gap_tol=1e-3)
    assert solution.status == "optimal"
    assert labelcut.check(problem, solution).rows == 500
    best = np.sort(problem.utility[problem.candidates])[::-1][:500].sum()
    assert solution.objective < 0.9 * best
    # Without any one of them more could be had, or the answer would break it.
    bounds = []
    for left_out in range(4):
        rules = [rule for at, rule in enumerate(problem.constraints) if at != left_out]
        eased = labelcut.BudgetedSelection(
            problem.utility, 500, labeled=problem.labeled, constraints=rules
        )
        bounds.append(labelcut.solve(eased, "exact", time_limit=30, gap_tol=1e-3).objective)
    assert min(bounds) > solution.objective


@pytest.mark.slow
def test_dashcam_is_balanced_under_the_same_constraints(dashcam):
    """The second problem file could not be solved, or its answer would not be better for it."""
    folder, _ = dashcam
    problem = labelcut.load(folder / "balanced.toml")
    useful = labelcut.load(folder / "dashcam.toml")
    solution = labelcut.solve(problem, "exact", time_limit=5)
    assert labelcut.check(problem, solution).rows == 500
    most_useful = labelcut.solve(useful, "exact", gap_tol=1e-3)
    assert solution.objective < problem.evaluate(most_useful.indices).objective
    assert solution.terms["utility"] <= most_useful.bound


@pytest.mark.slow
def test_video_is_solved_from_pictures_and_drawn(tmp_path):
    """The road from pictures over flow and cut to frames on a sheet would be broken."""
    pytest.importorskip("cv2")
    script = [sys.executable, "-W", "error", EXAMPLES / "video" / "make.py", "--out", "problem"]
    small = ["--drives", "1", "--seconds", "2"]
    made = subprocess.run(
        [*script, *small], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    folder = tmp_path / "problem"
    assert (folder / ".gitignore").read_text() == "*\n"
    assert "labelcut solve problem/video.toml --draw problem/pictures" in made.stdout
    command = [sys.executable, "-P", "-m", "labelcut"]
    solve = [*command, "solve", folder / "video.toml", "--draw", folder / "pictures", "--json"]
    run = subprocess.run(solve, check=True, capture_output=True, text=True)
    found = json.loads(run.stdout)["video"]
    assert found["estimate"]["status"] == "optimal"
    assert len(found["frames"]["indices"]) == 2
    assert (folder / "pictures" / "contact-sheet.png").read_bytes().startswith(b"\x89PNG")
    compare = [*command, "compare", folder / "video.toml", "--json"]
    run = subprocess.run(compare, check=True, capture_output=True, text=True)
    exact = json.loads(run.stdout)["comparison"]["methods"][0]
    # Chance would be right in about a fifth of its false positives.
    assert exact["fp_precision"] > 0.6
    assert exact["fn_precision"] > 0.4


@pytest.mark.slow
def test_segmentation_leads_from_a_network_to_regions_of_all_classes(segmentation):
    """Chosen rows would lead to other regions, break the limit, or be no better balanced."""
    folder, printed = segmentation
    problem = labelcut.load(folder / "segmentation.toml")
    answer = labelcut.load(folder / "segmentation.selection.json")
    labelcut.check(problem, answer)
    assert len(answer.indices) == 60
    table = problem.dataset.table
    assert np.bincount(np.asarray(table["image"])[answer.indices]).max() <= 3
    assert (np.asarray(table["image"]) % 6 != 0).all()
    assert (np.asarray(table["top"]) % 12 == 0).all()
    top = np.argsort(-np.asarray(problem.utility))[:60]
    probs = np.load(folder / "segmentation.data" / "probs.npy")
    spread, peaked = (probs[rows].sum(axis=0) for rows in (answer.indices, top))
    assert np.abs(spread - 10).sum() < np.abs(peaked - 10).sum()
    accuracy = float(printed.split("% of the pixels")[0].split()[-1])
    assert accuracy > 60
    assert (folder / "regions.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.skipif("LABELCUT_DATA" not in os.environ, reason="needs the CamVid file")
def test_segmentation_takes_camvid_where_it_is(tmp_path):
    """The example would only work on scenes that it draws itself."""
    folder, printed = make("segmentation", tmp_path, "--steps", "20")
    assert "CamVid: 31 labeled images of 184" in printed
    assert labelcut.load(folder / "segmentation.selection.json").objective is not None


@pytest.mark.slow
def test_detection_leads_from_boxes_to_images(detection):
    """Embeddings would be of other images, or labeled ones be chosen."""
    folder, printed = detection
    problem = labelcut.load(folder / "detection.toml")
    answer = labelcut.load(folder / "detection.selection.json")
    labelcut.check(problem, answer)
    assert len(answer.indices) == 20
    assert answer.indices.min() >= 100
    embeddings = np.load(next((folder / "detection.data").glob("*embeddings*.npy")))
    assert embeddings.shape == (500, 3 * 48)
    boxes = np.asarray(problem.dataset.table["boxes"])
    entropy = np.load(folder / "entropy.npy")
    np.testing.assert_array_equal(boxes == 0, entropy == -1)
    np.testing.assert_array_equal((embeddings != 0).any(axis=1)[boxes == 0], False)
    assert "chosen images hold" in printed


@pytest.mark.slow
def test_the_campaign_reads_the_scans_of_scikit_learn(monkeypatch):
    """The example would compare strategies on other data than it says."""
    from sklearn.datasets import load_digits

    monkeypatch.syspath_prepend(str(EXAMPLES / "campaign"))
    monkeypatch.delitem(sys.modules, "make", raising=False)
    import make as example

    monkeypatch.delitem(sys.modules, "make")
    pixels, truth = example.load_scans()
    digits = load_digits()
    np.testing.assert_array_equal(pixels, digits.images)
    np.testing.assert_array_equal(truth, digits.target)


@pytest.mark.slow
def test_campaign_ends_with_a_report(tmp_path):
    """The one command of the README would leave its user without a report."""
    options = [
        "--cycles",
        "1",
        "--seeds",
        "2",
        "--epochs",
        "3",
        "--strategies",
        "random,entropy-cb",
    ]
    folder, _ = make("campaign", tmp_path, *options)
    results = load_results(folder / "digits.campaign")
    assert results.table("accuracy").shape == (2, 2, 2)
    assert np.isfinite(results.table("accuracy")).all()
    # 40 rows to begin with and 20 more, of the pool that the file names.
    assert results.table("labeled")[0, 0].tolist() == [40, 60]
    page = (folder / "digits.campaign" / "report.html").read_text(encoding="utf-8")
    assert "entropy-cb" in page
    assert "data:image/png;base64," in page
    ran = tomllib.loads((folder / "digits.toml").read_text())
    assert ran["strategy"][1] == {"name": "entropy-cb", "options": {"method": "relaxed"}}
    stated = tomllib.loads((EXAMPLES / "campaign" / "digits.toml").read_text())
    assert (len(stated["strategy"]), stated["campaign"]["seeds"]) == (8, 5)


@pytest.mark.slow
def test_patches_of_a_rare_class_are_found_under_limits(tmp_path):
    """The road from scenes over MiSiCAL's values to a batch within its limits would be broken."""
    script = [sys.executable, "-W", "error", EXAMPLES / "regions" / "patches.py"]
    options = ["--out", "problem", "--steps", "80"]
    run = subprocess.run(
        [*script, *options], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    folder = tmp_path / "problem"
    assert (folder / ".gitignore").read_text() == "*\n"
    problem = labelcut.load(folder / "patches.problem.toml")
    answer = labelcut.load(folder / "patches.selection.json")
    labelcut.check(problem, answer)
    table = {name: np.asarray(column)[answer.indices] for name, column in problem.table.items()}
    assert len(answer.indices) == 60
    assert np.bincount(table["image"]).max() <= 3
    blocks = zip(table["image"], table["top"] // 24, table["left"] // 32, strict=True)
    assert len({*blocks}) == 60
    assert not np.isin(answer.indices, np.load(folder / "patches.data" / "labeled.npy")).any()
    # Labels that nobody has paid for stay unknown to the policy.
    known = np.load(folder / "patches.data" / "holds.npy") >= 0
    np.testing.assert_array_equal(np.flatnonzero(known), problem.labeled)
    assert (folder / "patches.png").read_bytes().startswith(b"\x89PNG")
    assert "hold a pedestrian" in run.stdout
    command = [sys.executable, "-P", "-m", "labelcut", "policy", "train", folder / "patches.toml"]
    again = subprocess.run([*command, "--json"], check=True, capture_output=True, text=True)
    record = json.loads((folder / "patches.policy" / "policy.json").read_text())
    assert json.loads(again.stdout)["policy"]["fingerprint"] == record["fingerprint"]


@pytest.mark.slow
def test_regions_that_a_policy_values_are_chosen_under_limits(tmp_path):
    """The road from games over Q-values to a batch within its limits would be broken."""
    folder, printed = make("regions", tmp_path, "--episodes", "2", "--steps", "40")
    problem = labelcut.load(folder / "ralis.toml")
    answer = labelcut.load(folder / "ralis.selection.json")
    labelcut.check(problem, answer)
    assert len(answer.indices) == 60
    table = {name: np.asarray(column)[answer.indices] for name, column in problem.table.items()}
    assert np.bincount(table["image"]).max() <= 3
    assert {*table["top"]} <= {0, 18, 36, 54}
    assert np.ptp(problem.utility) > 0
    assert json.loads((folder / "ralis.policy" / "policy.json").read_text())["kind"] == "ralis"
    assert (folder / "ralis.png").read_bytes().startswith(b"\x89PNG")
    assert "arg max would repeat" in printed
    assert "hold a pedestrian" in printed
