"""The README keeps its promises: its code runs, its files exist, its problem file is read."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import labelcut
from labelcut import KCenter
from labelcut.problems import read_problem
from labelcut.studies.campaign.files import read_campaign

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    """Return the README's blocks of code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def named(words):
    """Return the README's one block of TOML that holds some words."""
    (found,) = [text for text in blocks("toml") if words in text]
    return found


def test_there_is_code_and_the_two_blocks_of_commands():
    """Nothing below would be tested, or the checks would run the wrong commands."""
    assert blocks("python")
    run, develop = blocks("sh")
    assert "labelcut compare" in run
    assert "pytest" in develop


@pytest.mark.slow
@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs_as_written(code, tmp_path):
    """The first thing a reader tries would fail."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "MPLBACKEND": "agg"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_links_and_pictures_exist():
    """A reader would click into nothing."""
    links = re.findall(r"\]\(([^)\s]+)\)", README)
    local = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:|#", link)]
    assert local
    assert [link for link in local if not (ROOT / link).exists()] == []


def test_paths_in_the_text_exist():
    """The map from equations to code would lead to files that have moved."""
    named = re.findall(r"`((?:problems|models|solvers|studies|examples|tests)/[\w/]+\.py)`", README)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_coreset_file_is_read_as_written(tmp_path):
    """The documented format of coresets would not be the one that is read."""
    text = named("k-center")
    points = np.random.default_rng(0).normal(size=(80, 4))
    np.save(tmp_path / "e0.npy", points[:30])
    np.save(tmp_path / "e1.npy", points[30:])
    np.save(tmp_path / "labeled.npy", [3, 4])
    (tmp_path / "ids.txt").write_text("".join(f"image-{row}\n" for row in range(80)))
    (tmp_path / "coreset.toml").write_text(text)
    problem = read_problem(tmp_path / "coreset.toml").problem
    assert problem.fingerprint == KCenter(points, 50, labeled=[3, 4]).fingerprint


def test_the_constraints_are_those_of_the_example(tmp_path):
    """The documented format of constraints would not be the one that the example writes."""
    make = ROOT / "examples" / "dashcam" / "make.py"
    subprocess.run([sys.executable, make, "--out", tmp_path / "d"], check=True, capture_output=True)
    made = read_problem(tmp_path / "d" / "dashcam.toml").problem
    (tmp_path / "d" / "readme.toml").write_text(named('"budgeted"'))
    read = read_problem(tmp_path / "d" / "readme.toml").problem
    assert read.fingerprint == made.fingerprint
    assert [rule.title for rule in read.constraints] == [rule.title for rule in made.constraints]


def test_the_contradiction_in_the_text_is_what_is_printed():
    """A reader would see another reason than the one that is shown."""
    video, frame = np.repeat(np.arange(40), 25), np.tile(np.arange(25), 40)
    rules = [
        labelcut.GroupLimit(video, at_most=4, name="video caps"),
        labelcut.Spacing(video, frame, exclude_within=8),
    ]
    problem = labelcut.BudgetedSelection(np.zeros(1000), 130, constraints=rules)
    assert f"```\n{labelcut.solve(problem).reason}\n```" in README


def test_the_problem_file_is_read_as_written(tmp_path):
    """The documented format would not be the one that is read."""
    text = named('"class-balanced"')
    rows, classes = 200, 4
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(classes), rows).astype(np.float32)
    np.save(tmp_path / "p0.npy", probs[:120])
    np.save(tmp_path / "p1.npy", probs[120:])
    np.savez(tmp_path / "scores.npz", entropy=rng.random(rows), other=rng.random(rows))
    np.save(tmp_path / "y.npy", np.array([0, 3]))
    np.save(tmp_path / "truth.npy", np.full(rows, -1))
    (tmp_path / "ids.txt").write_text("".join(f"image-{row}\n" for row in range(rows)))
    (tmp_path / "labeled.txt").write_text("image-100\nimage-101\n")
    images = "".join(f"{row},{row}.png\n" for row in range(rows))
    (tmp_path / "regions.csv").write_text("top,image\n" + images)
    (tmp_path / "digits.toml").write_text(text)
    read = read_problem(tmp_path / "digits.toml")
    assert read.problem.labeled.tolist() == [100, 101]
    assert read.problem.included.tolist() == [17, 42]
    assert read.problem.table["image"][199] == "199.png"
    np.testing.assert_allclose(read.problem.probs.take(np.array([150]))[0], probs[150], atol=1e-6)
    assert read.solve == {"time_limit": 60}


def test_the_correction_is_read_as_written(tmp_path):
    """The documented table would not be the one that is read."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "p.npy", rng.dirichlet(np.ones(4), 200))
    np.save(tmp_path / "u.npy", rng.random(200))
    np.save(tmp_path / "held_out.npy", np.full((40, 4), 0.1) + 0.6 * np.eye(4).repeat(10, axis=0))
    np.save(tmp_path / "y.npy", np.arange(4).repeat(10))
    head = 'labelcut = 1\n[problem]\nkind = "class-balanced"\nbudget = 9\n'
    data = '[data]\nprobs = "p.npy"\nutility = "u.npy"\n'
    (tmp_path / "p.toml").write_text(head + data + named("[correct]"))
    record = read_problem(tmp_path / "p.toml").problem.notes()["correct"]
    assert record["method"] == "sharpened"
    assert record["calibration"]["slopes"] != [1.0] * 4


def test_the_campaign_file_is_read_as_written(tmp_path):
    """The documented format of campaigns would not be the one that is read."""
    for name, rows in (("x", 100), ("test_x", 20)):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(0).normal(size=(rows, 3)))
    np.save(tmp_path / "y.npy", np.arange(100) % 4)
    np.save(tmp_path / "test_y.npy", np.arange(20) % 4)
    (tmp_path / "mine.py").write_text("def choose(round): ...\n")
    text = named("[campaign]").replace('"2-2"', '"20-10"')
    (tmp_path / "readme.toml").write_text(text)
    campaign = read_campaign(tmp_path / "readme.toml")
    assert (campaign.plan.initial, campaign.plan.step, campaign.plan.audit) == (20, 10, 1)
    assert [entrant.name for entrant in campaign.strategies] == ["entropy-cb-corrected", "mine"]


def test_the_policy_file_is_read_as_written(tmp_path):
    """The documented keys of policies would not be those that are read."""
    from labelcut.models.policies import load_policy
    from labelcut.studies.policies.files import policy_kind, read_policy_file

    (tmp_path / "patches.toml").write_text(named('"misical"'))
    rng = np.random.default_rng(0)
    arrays = {
        "features": rng.random((400, 6)),
        "holds": np.arange(400) % 2,
        "labeled": np.arange(60),
        "near-duplicates": np.arange(400) // 2,
        **{name: np.arange(400) // 4 for name in ("image", "top", "left")},
    }
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    content = read_policy_file(tmp_path / "patches.toml")
    kind = policy_kind(content.kind)
    kind.train(content, tmp_path / "p", print)
    problem = kind.apply(content, load_policy(tmp_path / "p"))
    assert problem.budget == 100
    assert len(problem.labeled) == 60
    assert {*problem.table} == {"image", "top", "left"}
    assert [rule.name for rule in problem.constraints][:2] == ["each image", "each group"]
