"""Video problem files on the command line: solve, check, compare and draw."""

import json

import numpy as np
import pytest

from labelcut.problems import check, load
from labelcut.problems.detection_writing import write_detections
from labelcut.problems.detections import join_detections, make_detections
from labelcut.problems.errors import InvalidInput
from labelcut.problems.video_files import read_video_file
from labelcut.studies.video import video_problem

FILE = """\
labelcut = 1
[problem]
kind = "temporal-coherence"
[data]
detections = "cam.txt"
truth = "gt.txt"
[tracker]
kind = "static"
[frames]
budget = 2
spacing = 1
"""
# A still object, missed in frame 5, and a flash in frame 3.
DETECTIONS = [*((frame, 10, 10, 20, 40) for frame in (1, 2, 3, 4, 6, 7, 8, 9)), (3, 100, 9, 9, 9)]
TRUTH = [(frame, 10, 10, 20, 40) for frame in range(1, 10)]
"""The file names its video otherwise, which must not matter."""


@pytest.fixture
def still(tmp_path):
    """Write a video of an object that does not move, and its problem file."""
    for name, rows, rest in (("cam", DETECTIONS, "0.9"), ("gt", TRUTH, "1")):
        lines = [f"{row[0]},-1,{row[1]},{row[2]},{row[3]},{row[4]},{rest}\n" for row in rows]
        (tmp_path / f"{name}.txt").write_text("".join(lines))
    path = tmp_path / "cam.toml"
    path.write_text(FILE.replace('truth = "gt.txt"\n', ""))
    return path


def test_solve_finds_what_was_planted_and_chooses_its_frames(labelcut, still, tmp_path):
    """The command line would give another answer than the mathematics."""
    result = labelcut("solve", still, "--json")
    assert result.code == 0
    estimate, frames = result.json["video"]["estimate"], result.json["video"]["frames"]
    assert estimate["types"] == ["TP"] * 8 + ["FP"]
    assert estimate["status"] == "optimal"
    assert 2 in frames["indices"]  # the flash, in the user's frame 3
    assert frames["table"]["frame"][frames["indices"].index(2)] == 3
    assert abs(frames["indices"][0] - frames["indices"][1]) > 1
    lines = (tmp_path / "cam.types.txt").read_text().splitlines()
    assert lines[8].endswith("FP")
    assert lines[9] == "5,-1,10,10,20,40,-1,FN"
    saved = load(tmp_path / "cam.estimate.json")
    assert check(video_problem(read_video_file(still)), saved).bound_rechecked
    assert len(load(tmp_path / "cam.frames.json").indices) == 2


def test_check_takes_the_estimate_and_finds_a_change(labelcut, still, tmp_path):
    """A changed file would be believed."""
    assert labelcut("solve", still).code == 0
    path = tmp_path / "cam.estimate.json"
    result = labelcut("check", still, path)
    assert result.code == 0
    assert "bound 2 is proven by the certificate" in result.err
    fields = json.loads(path.read_text())
    fields["types"][0] = "FP"
    path.write_text(json.dumps(fields))
    assert labelcut("check", still, path).code == 1


def test_compare_puts_the_methods_beside_the_truth(labelcut, still, tmp_path):
    """Precision and recall would be of something else."""
    truth = read_video_file(still)
    assert truth.truth is None
    result = labelcut("compare", still, "--json")
    assert result.json["comparison"]["methods"][0]["fp_precision"] is None
    still.write_text(FILE)
    result = labelcut("compare", still, "--json")
    assert result.code == 0
    rows = {row["method"]: row for row in result.json["comparison"]["methods"]}
    baselines = ["confidence", "entropy", "margin", "oracle"]
    assert list(rows) == ["exact", "threshold", "random", *baselines]
    assert rows["oracle"]["share"] == 1.0  # two mistakes, in two frames
    assert rows["entropy"]["fp"] is None
    exact = rows["exact"]
    assert (exact["fp_precision"], exact["fp_recall"]) == (1.0, 1.0)
    assert (exact["fn_precision"], exact["fn_recall"]) == (1.0, 1.0)
    assert exact["correlation"] == pytest.approx(1.0)
    assert exact["share"] == 0.5  # utility "fp" knows of one of the two mistakes, and chance
    assert rows["threshold"]["fp"] == 0
    assert "FP precision" in labelcut("compare", still).err
    assert labelcut("compare", still, "--plot", "x.png").code == 2
    some = labelcut("compare", still, "--method", "margin", "--json").json["comparison"]["methods"]
    assert [row["method"] for row in some] == ["margin"]


def test_frames_are_drawn_with_their_boxes(labelcut, still, tmp_path):
    """The picture would show other boxes, or in another color."""
    cv2 = pytest.importorskip("cv2")
    assert labelcut("solve", still, "--draw", tmp_path / "pictures").code == 0
    names = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert {"contact-sheet.png", "cam-3.png"} <= names
    assert len(names) == 3
    picture = cv2.imread(str(tmp_path / "pictures" / "cam-3.png"))[:, :, ::-1]
    assert tuple(picture[10, 20]) == (60, 180, 60)  # TP, green
    assert tuple(picture[9, 104]) == (200, 40, 200)  # FP, purple
    assert tuple(picture[45, 60]) == (128, 128, 128)  # there is no image


def test_several_videos_are_written_as_one_file(labelcut, still, tmp_path):
    """Videos after the first would be lost."""
    rows = (tmp_path / "cam.txt").read_text()
    (tmp_path / "other.txt").write_text(rows)
    still.write_text(
        FILE.replace('truth = "gt.txt"\n', "").replace('"cam.txt"', '["cam.txt", "other.txt"]')
    )
    assert labelcut("solve", still).code == 0
    entries = json.loads((tmp_path / "cam.types.json").read_text())
    assert {entry["video"] for entry in entries} == {"cam", "other"}


def test_boxes_of_the_users_own_tracker(labelcut, still, tmp_path):
    """Somebody with a tracker of their own could not use it."""
    tracked = np.repeat(np.array([row[1:] for row in DETECTIONS], dtype=float)[:, None], 6, axis=1)
    np.save(tmp_path / "tracked.npy", tracked)
    text = FILE.replace('truth = "gt.txt"\n', 'tracked = "tracked.npy"\n')
    still.write_text(text.replace('"static"', '"boxes"'))
    result = labelcut("solve", still, "--json")
    assert result.json["video"]["estimate"]["types"][-1] == "FP"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"static"', '"kalman"'), r"\[tracker\] kind: must be one of flow, siamese, static"),
        (('"static"', '"boxes"'), "'boxes' needs .data. tracked"),
        (('"static"', '"flow"'), "'flow' needs images, and no video has any"),
        (("budget = 2", ""), r"\[frames\] budget: is missing"),
        (("budget = 2", "budget = 99"), "budget"),
        (("spacing = 1", "spacing = -1"), "spacing: must be"),
        (("spacing = 1", 'utility = "tp"'), "utility: must be one of fp, fn, both, soft, mixed"),
        (("spacing = 1", "reach = 1"), "unknown key 'reach'"),
        (('kind = "static"', 'kind = "static"\nreach = 0'), "reach: must be at least 1"),
        (('"cam.txt"', '"came.txt"'), "did you mean cam.txt"),
        (('"cam.txt"', "[]"), "must name files or folders"),
        (('"cam.txt"', '"cam.txt"\nlayout = "voc"'), "layout: must be one of mot, kitti, coco"),
        (('"cam.txt"', '"cam.txt"\nlayout = "coco"'), "images: a COCO problem is"),
        (('"cam.txt"', '"cam.txt"\nimages = "img"'), "a MOT folder holds its own"),
        (('coherence"', 'coherence"\nweights = "heavy"'), "weights: must be one of paper"),
        (('coherence"', 'coherence"\nweights = { trust = 1 }'), "unknown key 'trust'"),
        (("labelcut = 1", "labelcut = 2"), "this version reads format 1"),
    ],
)
def test_bad_files_are_one_line_and_exit_code_2(labelcut, still, change, message):
    """A mistake in the file would end in a traceback, or be passed over."""
    still.write_text(FILE.replace('truth = "gt.txt"\n', "").replace(*change))
    result = labelcut("solve", still)
    assert result.code == 2
    assert len(result.err.strip().splitlines()) <= 20
    import re

    assert re.search(message, result.err)


def test_other_commands_say_that_they_take_no_video(labelcut, still, two_classes):
    """`frontier` on a video problem would call its kind unknown."""
    result = labelcut("frontier", still)
    assert result.code == 2
    assert "a video problem; solve, compare, check and show take it" in result.err
    assert "--draw: is for video problems" in labelcut("solve", two_classes, "--draw", "x").err


def test_show_tells_what_a_video_problem_states(labelcut, still):
    """Nobody could see what a file holds before its tracker runs, or what an estimate says."""
    stated = labelcut("show", still)
    assert stated.code == 0
    assert "static, 3 frames each way" in stated.err
    assert labelcut("show", still, "--json").json["video"] == {
        "videos": 1,
        "frames": 9,
        "detections": 9,
    }
    assert labelcut("show", still, "--plot", "x.png").code == 2
    labelcut("solve", still)
    estimated = labelcut("show", still, still.with_suffix(".estimate.json"))
    assert estimated.code == 0
    assert "optimal" in estimated.err


def test_a_kitti_problem_is_read(labelcut, tmp_path):
    """Only MOT folders would work."""
    table = make_detections([[1, 2, 3, 4]] * 2, [0.5, 0.6], [0, 1], label=["Car", "Cyclist"])
    write_detections(tmp_path / "0001.txt", table, ["TP", "TP"], layout="kitti")
    text = FILE.replace('truth = "gt.txt"\n', 'layout = "kitti"\n').replace("cam.txt", "0001.txt")
    (tmp_path / "k.toml").write_text(text.replace("budget = 2", "budget = 1"))
    content = read_video_file(tmp_path / "k.toml")
    np.testing.assert_array_equal(content.detections.boxes, table.boxes)
    assert labelcut("solve", tmp_path / "k.toml").code == 0
    assert (tmp_path / "k.types.txt").read_text().splitlines()[0].split()[2] == "Car"
    with pytest.raises(InvalidInput, match="comes twice"):
        join_detections([content.detections, content.detections])


def test_a_video_is_as_long_as_detections_or_truth_say(still, tmp_path):
    """Objects after the last detection could not be missed, or would not be read at all."""
    with (tmp_path / "gt.txt").open("a") as file:
        file.write("12,-1,10,10,20,40,1\n")
    still.write_text(FILE)
    content = read_video_file(still)
    assert content.detections.n_frames == content.truth.n_frames == 12


def test_the_siamese_tracker_runs_from_a_file(still, tmp_path):
    """A file could name the tracker, and it would be another one that runs."""
    cv2 = pytest.importorskip("cv2")
    folder = tmp_path / "cam"
    (folder / "img1").mkdir(parents=True)
    (tmp_path / "cam.txt").rename(folder / "det.txt")
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.uniform(0, 255, (60, 120, 3)), (0, 0), 2).astype(np.uint8)
    for frame in range(1, 10):
        cv2.imwrite(str(folder / "img1" / f"{frame:03d}.png"), picture)
    text = FILE.replace('truth = "gt.txt"\n', "").replace("cam.txt", "cam")
    still.write_text(text.replace('"static"', '"siamese"'))
    problem = video_problem(read_video_file(still))
    assert np.nanmax(np.abs(problem.tracked[0] - problem.detections.boxes[0])) < 2
    still.write_text(text.replace('"static"', '"siamese"\nweights = "none.pt"'))
    with pytest.raises(InvalidInput, match=r"\[tracker\] weights: .* does not exist"):
        video_problem(read_video_file(still))


@pytest.mark.parametrize("at", ["video_problem", "compare_estimates"])
def test_ctrl_c_is_one_line_and_130(labelcut, still, monkeypatch, at):
    """Ctrl-C during a long run of the tracker would end in a traceback."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"labelcut.studies.video.{at}", interrupted)
    result = labelcut("compare", still)
    assert result.code == 130
    assert result.err.startswith("interrupted")


def test_frames_that_cannot_be_chosen_are_infeasible(labelcut, still):
    """More frames than spacing leaves would end in an error, or break the spacing."""
    text = FILE.replace('truth = "gt.txt"\n', "").replace("budget = 2", "budget = 5")
    still.write_text(text.replace("spacing = 1", "spacing = 3"))
    result = labelcut("solve", still)
    assert result.code == 1
    assert "reason" in result.err


def test_load_says_that_a_tracker_must_run(still):
    """`labelcut.load` would call the kind unknown."""
    with pytest.raises(InvalidInput, match="whose tracker must run first"):
        load(still)


def test_drawing_without_frames_is_refused_before_the_tracker_runs(labelcut, still):
    """Hours of flow would end in an error."""
    still.write_text(FILE.replace('truth = "gt.txt"\n', "").split("[frames]")[0])
    result = labelcut("solve", still, "--draw", "pictures")
    assert result.code == 2
    assert "add [frames]" in result.err
    assert not still.with_suffix(".estimate.json").exists()
    assert labelcut("solve", still).code == 0


def test_boxes_that_are_ignored_are_ignored_in_the_truth_too(still, tmp_path):
    """A file with one empty true box could not be read, whatever `invalid` says."""
    with (tmp_path / "gt.txt").open("a") as file:
        file.write("9,-1,10,10,0,40,1\n")
    still.write_text(FILE)
    with pytest.raises(InvalidInput, match="zero area"):
        read_video_file(still)
    still.write_text(FILE.replace("[tracker]", 'invalid = "ignore"\n[tracker]'))
    assert read_video_file(still).truth.used.sum() == 9
