"""Campaign files: what they say, and what is wrong with them."""

import sqlite3

import numpy as np
import pytest

from labelcut.problems.errors import InvalidInput
from labelcut.studies.campaign.files import read_campaign
from labelcut.studies.policies.files import read_policy_file

POOL = """
import sqlite3

import numpy as np
from labelcut.studies.campaign import Pool
def make_pool():
    return Pool(np.ones((30, 2)), truth=np.arange(30) % 2, classes=2)
def make_nothing():
    return 5
"""


def change(path, old, new):
    """Replace text of a campaign file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_a_file_of_arrays_alone_runs_with_the_ready_learner(read):
    """A user without torch code could not begin."""
    campaign = read()
    assert campaign.plan.initial == 9
    assert campaign.pool.size == 60
    assert campaign.pool.classes == 3
    assert [entrant.name for entrant in campaign.strategies] == ["lowest", "unsure"]
    assert campaign.folder.name == "blobs.campaign"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("labelcut = 1", "labelcut = 2", "reads format 1"),
        ("cycles = 2", "cycels = 2", r"unknown key 'cycels'; did you mean 'cycles'"),
        ("cycles = 2", "cycles = '2'", "cycles: must be int"),
        ("[data]", "[dat]", "unknown key 'dat'; did you mean 'data'"),
        ("truth =", "thruth =", "did you mean 'truth'"),
        ("epochs =", "epoch =", "did you mean 'epochs'"),
        ("epochs = 6", "epochs = 0", "epochs: must be finite and at least 1; got 0"),
        ("learning_rate = 0.02", "learning_rate = nan", "learning_rate: must be finite"),
        ("learning_rate = 0.02", "learning_rate = inf", "learning_rate: must be finite"),
        ("[learner]", "classes = 0\n[learner]", "classes: must be an int of at least 2; got 0"),
        ('name = "lowest"', "", r"\[\[strategy\]\] name: is missing"),
        ('"x.npy"', '"xx.npy"', "does not exist; did you mean"),
        ('choose = "own.py:lowest"', "use = 'oracle-fp'", "options: errors must name a function"),
        ('test_truth = "test_y.npy"', "", "test_truth: is missing"),
        ("own.py:lowest", "own.py:lowset", "must have a function lowset"),
        ("own.py:lowest", "won.py:lowest", "must be a file"),
        ("own.py:lowest", "lowest", "MODULE:FUNCTION"),
        ('name = "lowest"', 'name = "unsure"', "'unsure' comes twice"),
        ('name = "lowest"', 'name = "a/b"', "name: must be letters"),
        ('choose = "own.py:lowest"', 'use = "entrpy"', "did you mean 'entropy'"),
        ('choose = "own.py:lowest"', "chose = 1", "did you mean 'choose'"),
        ('own.py:lowest"', 'own.py:lowest"\nneeds = ["truht"]', "needs: must be some of .*'truht'"),
        ('choose = "own.py:lowest"', 'needs = ["truth"]\nuse = "entropy"', "needs: goes with cho"),
        ("hidden = 8", 'make_model = "own.py:lowest"', "name both make_model and train"),
        ('choose = "own.py:lowest"', "use = 'uwe'\noptions = { taw = 1 }", "did you mean 'tau'"),
        (
            'choose = "own.py:lowest"',
            "use = 'uwe'\noptions = { tau = 'a' }",
            r"lowest options tau: must be float or int; got 'a'",
        ),
        (
            'choose = "own.py:lowest"',
            "use = 'entropy'\noptions = { spacing = 2.5 }",
            "options spacing: must be int; got 2.5",
        ),
        ("cycles = 2", "cycles = 2\ninit = 'pretrained'", "pretrained needs weights"),
        ("cycles = 2", "cycles = 2\nanswers = 'persona'", "must be truth or person"),
        ("cycles = 2", "cycles = 2\nanswers = 'person'", "one strategy and one seed"),
        (
            "cycles = 2",
            "cycles = 2\nanswers = 'person'\nfull = true",
            "full: nobody knows the classes of all rows",
        ),
        ("cycles = 2", "cycles = 2\nworkers = 0", "workers: must be at least 1"),
        ("[learner]", "class_names = ['a', 'b']\nclasses = 3\n[learner]", "each of 3 classes"),
        ("[learner]", "class_names = ['a', 'b', 'a ']\n[learner]", "no two alike"),
        ("[learner]", "class_names = ['1', '2', '3']\n[learner]", "number of another class"),
    ],
)
def test_what_is_wrong_is_named(blobs, old, new, words):
    """A misspelled key would be taken for a default, silently."""
    path = change(blobs(), old, new)
    with pytest.raises(InvalidInput, match=words) as told:
        read_campaign(path)
    assert str(told.value).startswith("blobs.toml: ")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import numpy\ndef lowest(round:\n", r"SyntaxError: .* \(.*own\.py, line 2\); mend it"),
        ("\nimport no_such_module\n", r"ModuleNotFoundError: No .*own\.py, line 2\); mend it"),
        ("import json\njson.loads('')\n", r"JSONDecodeError: .*json.*, line \d+\); mend it"),
    ],
)
def test_a_users_module_that_cannot_be_imported_is_bad_input(blobs, code, words):
    """A slip in a strategy would be a traceback through our files, and exit code 1."""
    path = blobs()
    (path.parent / "own.py").write_text(code)
    with pytest.raises(InvalidInput, match=f"lowest choose: own.py must be importable; {words}"):
        read_campaign(path)
    (path.parent / "own.py").write_text("def lowest(round): return round.candidates[:6]\n")
    assert read_campaign(path).entrant("lowest")


def test_a_file_that_is_missing_is_called_what_it_is(blobs):
    """Whoever misspells the campaign would look for a problem file."""
    path = blobs().with_name("blob.toml")
    with pytest.raises(InvalidInput, match=r"campaign file: .*; did you mean blobs\.toml"):
        read_campaign(path)
    with pytest.raises(InvalidInput, match="policy file: "):
        read_policy_file(path)


def test_a_campaign_without_strategies_is_told_so(blobs):
    """Who wrote none would look for a bracket that is missing."""
    path = blobs()
    text = path.read_text()
    path.write_text(text[: text.index("[[strategy]]")])
    with pytest.raises(InvalidInput, match="at least one is needed"):
        read_campaign(path)
    path.write_text(text[: text.index("[[strategy]]")] + "[strategy]\nname = 'random'\n")
    with pytest.raises(InvalidInput, match="needs two brackets"):
        read_campaign(path)


def test_a_function_makes_the_pool(blobs):
    """Data that is no array file could not be used."""
    path = blobs()
    (path.parent / "study.py").write_text(POOL)
    lines = path.read_text().splitlines()
    rest = [line for line in lines if not line.startswith(("inputs", "truth", "test_"))]
    path.write_text("\n".join(rest).replace("[data]", '[data]\npool = "study.py:make_pool"'))
    assert read_campaign(path).pool.size == 30
    change(path, "make_pool", "make_nothing")
    with pytest.raises(InvalidInput, match=r"must return a labelcut\.studies\.campaign\.Pool"):
        read_campaign(path)


def test_a_strategy_whose_needs_the_pool_cannot_meet_is_refused(blobs):
    """An oracle would be run where nobody knows the truth."""
    path = blobs()
    truth = np.load(path.parent / "y.npy")
    truth[4] = -1
    np.save(path.parent / "y.npy", truth)
    change(path, 'choose = "own.py:lowest"', 'use = "misclassified"')
    with pytest.raises(InvalidInput, match="needs the class of every row"):
        read_campaign(path)


def test_a_strategy_of_a_users_own_says_what_it_needs(blobs, finish):
    """It could not ask by dispersion, and would look at a truth that is not there."""
    path = blobs()
    (path.parent / "own.py").write_text(
        "def lowest(round):\n"
        "    rows = round.candidates\n"
        "    return rows[(-round.dispersion[rows]).argsort(kind='stable')[: round.budget]]\n"
    )
    with pytest.raises(InvalidInput, match=r"not tracked; write needs = \['dispersion'\]"):
        finish(read_campaign(path), "lowest")
    change(path, 'own.py:lowest"', 'own.py:lowest"\nneeds = ["dispersion", "truth"]')
    change(path, "cycles = 2", 'cycles = 2\nfolder = "again"')
    assert len(finish(read_campaign(path), "lowest")) == 3
    np.save(path.parent / "y.npy", np.r_[-1, np.load(path.parent / "y.npy")[1:]])
    with pytest.raises(InvalidInput, match="lowest: needs the class of every row"):
        read_campaign(path)


@pytest.mark.parametrize(
    ("change_it", "what"),
    [
        (
            lambda folder: change(folder / "blobs.toml", "budget = [9, 6]", "budget = [9, 5]"),
            r"\[campaign\] budget \(it was \[9, 6\], it is \[9, 5\]\)",
        ),
        (
            lambda folder: change(folder / "blobs.toml", "epochs = 6", "epochs = 7"),
            r"\[learner\] epochs \(it was 6, it is 7\)",
        ),
        (
            lambda folder: change(folder / "blobs.toml", "hidden = 8\n", ""),
            r"\[learner\] hidden \(it was 8, it is not there\)",
        ),
        (lambda folder: np.save(folder / "y.npy", np.load(folder / "y.npy")[::-1]), "the data"),
        (lambda folder: change(folder / "own.py", "budget]", "budget]  # new"), "lowest"),
    ],
)
def test_a_change_in_mid_campaign_is_named(blobs, finish, change_it, what):
    """Results of two experiments would be mixed in one table, or nobody know which key it was."""
    path = blobs()
    finish(read_campaign(path), cycles=1)
    finish(read_campaign(path), "lowest", cycles=1)
    change_it(path.parent)
    with pytest.raises(InvalidInput, match=f"another state of .*{what}"):
        finish(read_campaign(path))


def test_a_campaign_of_another_version_says_so(blobs, finish):
    """The user would be asked to change back a format that stands in no file."""
    campaign = read_campaign(blobs())
    finish(campaign, cycles=1)
    with sqlite3.connect(campaign.folder / "campaign.sqlite") as database:
        database.execute("UPDATE facts SET value = '1' WHERE name = 'format'")
    with pytest.raises(InvalidInput, match=r"another version of labelcut \(format 1, this one wri"):
        finish(campaign)


def test_what_has_finished_nothing_may_be_mended(blobs, finish):
    """After its first mistake a campaign would take no corrected strategy, nor another plan."""
    path = blobs()
    right = (path.parent / "own.py").read_text()
    (path.parent / "own.py").write_text("def lowest(round): return []\n")
    with pytest.raises(InvalidInput, match="must return 6 rows; got 0"):
        finish(read_campaign(path), "lowest")
    change(path, "epochs = 6", "epochs = 5")
    finish(read_campaign(path))
    (path.parent / "own.py").write_text(right)
    path = path.parent.rename(path.parent.with_name("moved")) / path.name  # to be imported anew
    assert len(finish(read_campaign(path), "lowest")) == 3
    change(path.parent / "own.py", "budget]", "budget]  # new")
    with pytest.raises(InvalidInput, match=r"strategy lowest; .* give it another name, or let"):
        finish(read_campaign(path), "lowest")
    change(path, "epochs = 5", "epochs = 6")
    with pytest.raises(InvalidInput, match="epochs"):
        finish(read_campaign(path))


def test_what_changes_no_result_may_change(blobs, finish):
    """A file that was renamed, or says what is so by default, would need a new campaign."""
    path = blobs()
    finish(read_campaign(path), cycles=1)
    change(path, "cycles = 2", 'cycles = 2\ndraw = "random"\nfolder = "blobs.campaign"')
    assert len(finish(read_campaign(path.rename(path.with_name("other.toml"))))) == 3


def test_cycles_are_not_lowered(blobs, finish):
    """Curves would end before their records do."""
    path = blobs()
    finish(read_campaign(path), cycles=1)
    change(path, "cycles = 2", "cycles = 1")
    with pytest.raises(InvalidInput, match="cycles was 2 and is 1 now; it can be raised"):
        finish(read_campaign(path))


def test_seeds_and_strategies_may_be_added(blobs, finish):
    """Two more seeds would cost the whole campaign again."""
    path = blobs()
    before = finish(read_campaign(path))
    change(path, "seeds = 2", "seeds = 3\nworkers = 2\ntitle = 'more'")
    path.write_text(path.read_text() + '[[strategy]]\nname = "third"\nchoose = "own.py:lowest"\n')
    assert [record.key for record in finish(read_campaign(path))] == [r.key for r in before]


def test_rows_of_unknown_class_need_a_person(blobs):
    """Who has labeled some rows would get torch's complaint about class -1, in a log file."""
    path = blobs()
    truth = np.load(path.parent / "y.npy")
    truth[9:] = -1
    np.save(path.parent / "y.npy", truth)
    with pytest.raises(InvalidInput, match=r"lacks the class of 51 of 60 rows.*answers = 'person'"):
        read_campaign(path)
