"""Detections in MOT, KITTI and COCO files, read and written back."""

import json

import numpy as np
import pytest

from labelcut.problems.detection_files import read_coco, read_kitti, read_mot
from labelcut.problems.detection_writing import write_detections
from labelcut.problems.errors import InvalidInput

MOT = "2,-1,10,20,30,40,0.9,-1,-1,-1\n1,-1,1.5,2.5,3,4,0.25\n\n"
KITTI = """\
0 -1 Car -1 -1 -10 10.0 20.0 40.0 60.0 -1 -1 -1 -1000 -1000 -1000 -10 0.9
3 -1 DontCare -1 -1 -10 0 0 5 5 -1 -1 -1 -1000 -1000 -1000 -10 0.5
2 -1 Cyclist -1 -1 -10 1 2 4 6 -1 -1 -1 -1000 -1000 -1000 -10 0.25
"""
IMAGES = {
    "images": [
        {"id": 7, "file_name": "b/f10.png", "width": 64, "height": 48},
        {"id": 5, "file_name": "b/f9.png", "width": 64, "height": 48},
        {"id": 6, "file_name": "a/f1.png", "width": 64, "height": 48},
    ],
    "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}],
    "annotations": [{"image_id": 6, "category_id": 3, "bbox": [1, 2, 3, 4]}],
}
RESULTS = [
    {"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5},
    {"image_id": 6, "category_id": 1, "bbox": [5, 6, 7, 8], "score": 0.25},
]


def put(path, content):
    """Write text, or an object as JSON."""
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_mot_lines_are_boxes_in_file_order(tmp_path):
    """Left and top would be taken for something else, or frames be shifted by one."""
    table = read_mot(put(tmp_path / "cam.txt", MOT))
    assert table.videos[0].name == "cam"
    assert table.frame.tolist() == [1, 0]
    assert table.frame_number.tolist() == [2, 1]
    np.testing.assert_array_equal(table.boxes, [[10, 20, 30, 40], [1.5, 2.5, 3, 4]])
    np.testing.assert_array_equal(table.score, [0.9, 0.25])
    assert read_mot(put(tmp_path / "zero.txt", "0,-1,1,2,3,4,1\n"), first_frame=0).n_frames == 1


def test_a_mot_folder_says_its_length_size_and_images(tmp_path):
    """A missing picture would shift those after it to other frames."""
    (tmp_path / "img1").mkdir()
    for name in ("000001.jpg", "000003.jpg", "notes.md"):
        put(tmp_path / "img1" / name, "")
    put(tmp_path / "det.txt", MOT)
    put(tmp_path / "gt.txt", "1,1,1,2,3,4,1\n1,2,9,9,3,4,0\n")
    put(tmp_path / "seqinfo.json", {"name": "cam", "width": 64, "height": 48, "length": 4})
    video = read_mot(tmp_path).videos[0]
    assert (video.name, video.length, video.first_frame, video.size) == ("cam", 4, 1, (64, 48))
    names = [None if image is None else image[-10:] for image in video.images]
    assert names == ["000001.jpg", None, "000003.jpg", None]
    assert len(read_mot(tmp_path, truth=True)) == 1


def test_mot_challenge_folders_are_understood(tmp_path):
    """The folders that people download would have to be rearranged."""
    (tmp_path / "det").mkdir()
    put(tmp_path / "det" / "det.txt", MOT)
    put(tmp_path / "seqinfo.ini", "[Sequence]\nname=S\nseqLength=9\nimWidth=64\nimHeight=48\n")
    video = read_mot(tmp_path).videos[0]
    assert (video.name, video.length, video.size, video.images) == ("S", 9, (64, 48), ())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("seqinfo.json", {"length": "long"}, "length must be a whole number above 0; got 'long'"),
        ("seqinfo.json", {"width": -4, "height": 9}, "width must be a whole number above 0"),
        ("seqinfo.ini", "name=S\nseqLength=9\n", "no section headers"),
    ],
)
def test_bad_facts_of_a_folder_are_named(tmp_path, name, content, message):
    """Somebody with a broken folder would see a traceback, or boxes outside a negative image."""
    put(tmp_path / "det.txt", MOT)
    put(tmp_path / name, content)
    with pytest.raises(InvalidInput, match=message):
        read_mot(tmp_path)


def test_percent_signs_and_byte_order_marks_are_only_text(tmp_path):
    """A name with a percent sign, or a file from a spreadsheet, would not be read."""
    put(tmp_path / "det.txt", "\ufeff" + MOT)
    put(tmp_path / "seqinfo.ini", "[Sequence]\nname=50%\nseqLength=3\n")
    table = read_mot(tmp_path)
    assert (table.videos[0].name, table.frame.tolist()) == ("50%", [1, 0])


def test_two_coco_images_of_one_frame_are_refused(tmp_path):
    """One frame's objects would be taken for those of the next."""
    entries = [{"id": at, "video_id": 4, "frame_id": at // 2} for at in range(3)]
    listed = put(tmp_path / "i.json", {"images": entries})
    with pytest.raises(InvalidInput, match="images 0 and 1 of one video have frame_id 0"):
        read_coco(put(tmp_path / "r.json", []), listed)


def test_kitti_corners_become_sizes(tmp_path):
    """Right and bottom would be taken for width and height; frames count from 0 here."""
    table = read_kitti(put(tmp_path / "0001.txt", KITTI), length=5)
    np.testing.assert_array_equal(table.boxes, [[10, 20, 30, 40], [1, 2, 3, 4]])
    assert table.frame.tolist() == [0, 2]
    assert [table.classes[at] for at in table.label] == ["Car", "Cyclist"]
    assert table.score.tolist() == [0.9, 0.25]
    assert table.n_frames == 5


def test_coco_images_are_grouped_into_videos_in_natural_order(tmp_path):
    """Frame 10 would come before frame 9, and folders would be one video."""
    images = put(tmp_path / "images.json", IMAGES)
    table = read_coco(put(tmp_path / "results.json", RESULTS), images)
    assert [(video.name, video.length) for video in table.videos] == [("b", 2), ("a", 1)]
    assert table.frame_row.tolist() == [1, 2]
    assert [table.classes[at] for at in table.label] == ["car", "person"]
    assert table.videos[0].size == (64, 48)
    assert table.videos[0].images[0].endswith("b/f9.png")
    assert read_coco("unused", images, truth=True).boxes.tolist() == [[1, 2, 3, 4]]


def test_coco_video_ids_and_frame_ids_come_first(tmp_path):
    """A file that states videos and frames would be read by its file names all the same."""
    images = {
        "images": [
            {"id": 1, "file_name": "x/1.png", "video_id": 4, "frame_id": 1},
            {"id": 2, "file_name": "x/2.png", "video_id": 4, "frame_id": 0},
        ],
        "videos": [{"id": 4, "name": "drive"}],
    }
    entry = {"image_id": 2, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
    table = read_coco(put(tmp_path / "r.json", [entry]), put(tmp_path / "i.json", images))
    assert (table.videos[0].name, table.frame.tolist()) == ("drive", [0])


def test_types_are_written_back_in_each_layout(tmp_path):
    """A type would stand beside another detection, or the file be unreadable."""
    table = read_mot(put(tmp_path / "cam.txt", MOT))
    missed = {
        "video": np.array(["cam"]),
        "frame": np.array([1]),
        "class": np.array(["object"]),
        **{side: np.array([7.0]) for side in ("left", "top", "width", "height")},
    }
    out = tmp_path / "out.txt"
    write_detections(out, table, ["TP", "FP"], missed=missed)
    assert out.read_text().splitlines() == [
        "2,-1,10,20,30,40,0.9,TP",
        "1,-1,1.5,2.5,3,4,0.25,FP",
        "1,-1,7,7,7,7,-1,FN",
    ]
    again = read_mot(put(tmp_path / "own.txt", "\n".join(out.read_text().splitlines()[:2])))
    np.testing.assert_array_equal(again.boxes, table.boxes)

    kitti = read_kitti(put(tmp_path / "0001.txt", KITTI))
    write_detections(out, kitti, ["TP", "FP"], layout="kitti")
    assert [line.split()[-1] for line in out.read_text().splitlines()] == ["TP", "FP"]
    np.testing.assert_array_equal(read_kitti(out).boxes, kitti.boxes)

    write_detections(out, table, ["TP", "-"], layout="coco")
    entries = json.loads(out.read_text())
    assert [(entry["frame"], entry["type"]) for entry in entries] == [(2, "TP"), (1, "-")]


def test_coco_results_are_written_as_coco_results(tmp_path):
    """Tools that read COCO results would not know which image a box is in, nor of what class."""
    images = put(tmp_path / "images.json", IMAGES)
    table = read_coco(put(tmp_path / "results.json", RESULTS), images)
    at = 1
    missed = {
        "video": np.array([table.videos[table.video[at]].name]),
        "frame": table.frame_number[[at]],
        "class": np.array([table.classes[table.label[at]]]),
        **{side: np.array([7.0]) for side in ("left", "top", "width", "height")},
    }
    out = tmp_path / "types.json"
    write_detections(out, table, ["TP", "FP"], layout="coco", missed=missed)
    entries = json.loads(out.read_text())
    for name in ("image_id", "category_id"):
        given = [entry[name] for entry in RESULTS]
        assert [entry[name] for entry in entries] == [*given, given[at]]
    own = put(tmp_path / "own.json", entries[:2])
    again = read_coco(own, images)
    np.testing.assert_array_equal(again.boxes, table.boxes)
    np.testing.assert_array_equal(again.frame_row, table.frame_row)
    np.testing.assert_array_equal(again.label, table.label)


def test_one_file_holds_one_video(tmp_path):
    """Frames of two videos would be written into one list without a name."""
    images = put(tmp_path / "images.json", IMAGES)
    table = read_coco(put(tmp_path / "results.json", RESULTS), images)
    with pytest.raises(InvalidInput, match="a mot file holds one video; got 2"):
        write_detections(tmp_path / "out.txt", table, ["TP", "TP"])
    with pytest.raises(InvalidInput, match="layout: must be one of mot, kitti, coco"):
        write_detections(tmp_path / "out.txt", table, ["TP", "TP"], layout="voc")
    with pytest.raises(InvalidInput, match="types: must name one for each of 2"):
        write_detections(tmp_path / "out.txt", table, ["TP"], layout="coco")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1,-1,0,0,5,5\n", "lines must hold frame, id"),
        ("1,-1,0,0,5,high,1\n", "lines must be numbers with commas"),
        ("1,-1,0,0,5,5,1\n1,-1\n", "lines must be numbers"),
        ("0,-1,0,0,5,5,1\n", "bad.txt: frame: .*check first_frame"),
        ("1,-1,0,0,5,5,42.8\n", "bad.txt: score: must lie in 0..1.*scores='rank'"),
        ("1,-1,0,0,5,5,nan\n", "score: must be finite"),
        ("", "holds no detection; say the video's length"),
    ],
)
def test_bad_mot_text_is_named(tmp_path, content, message):
    """A damaged file would be read as something else, or end in a traceback."""
    with pytest.raises(InvalidInput, match=message):
        read_mot(put(tmp_path / "bad.txt", content))


@pytest.mark.parametrize(
    ("results", "images", "message"),
    [
        ("{", IMAGES, "r.json: is no JSON"),
        ({}, IMAGES, "must hold a list; got dict"),
        (RESULTS, [], "must hold a dict; got list"),
        (RESULTS, {}, "'images' must list the frames"),
        ([{**RESULTS[0], "image_id": 99}], IMAGES, "r.json: 99 is missing, or is an image"),
        ([{"image_id": 7}], IMAGES, "'bbox' is missing"),
        ([{**RESULTS[0], "score": "high"}], IMAGES, "r.json: could not convert"),
        ([{**RESULTS[0], "bbox": [0, 0, 0, 0]}], IMAGES, "r.json: boxes: .*zero area"),
        ([{**RESULTS[0], "bbox": [0, 0, 9]}] * 4, IMAGES, r"boxes: must be numbers of shape"),
        (RESULTS, {"images": [{"file_name": "a.png"}]}, "i.json: 'id' is missing"),
        (RESULTS, {"images": [7]}, "i.json: .*write COCO images"),
        (RESULTS, {"images": IMAGES["images"] * 2}, "i.json: image 5 comes twice"),
        (RESULTS, {**IMAGES, "categories": [{"id": 1}]}, "i.json: 'name' is missing"),
        (RESULTS, {"images": [{"id": 7, "frame_id": "x"}]}, "i.json: invalid literal"),
    ],
)
def test_bad_coco_files_are_named(tmp_path, results, images, message):
    """A damaged file would be read as something else, or end in a traceback."""
    with pytest.raises(InvalidInput, match=message):
        read_coco(put(tmp_path / "r.json", results), put(tmp_path / "i.json", images))


def test_bad_kitti_text_is_named(tmp_path):
    """Truth without a score would be read as detections."""
    line = KITTI.splitlines()[0]
    with pytest.raises(InvalidInput, match="line 1 has 17 of 18 columns"):
        read_kitti(put(tmp_path / "x.txt", line.rpartition(" ")[0]))
    with pytest.raises(InvalidInput, match="mend the line"):
        read_kitti(put(tmp_path / "x.txt", line.replace("60.0", "low")))
    with pytest.raises(InvalidInput, match="does not exist"):
        read_kitti(tmp_path / "nothing.txt")
    with pytest.raises(InvalidInput, match=r"has no det.txt nor det/det.txt"):
        read_mot(tmp_path)


def test_kitti_images_are_put_where_their_numbers_say(tmp_path):
    """After a missing image each frame would be shown, and tracked in, the picture of the next."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in (0, 2):
        put(folder / f"{number:06d}.png", "")
    table = read_kitti(put(tmp_path / "0001.txt", KITTI), images=folder)
    names = [None if image is None else image[-10:] for image in table.videos[0].images]
    assert names == ["000000.png", None, "000002.png"]
    longer = read_kitti(tmp_path / "0001.txt", images=folder, length=5)
    assert longer.videos[0].images[3:] == (None, None)
