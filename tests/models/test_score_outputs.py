"""What score keeps: uncertainties, dropout passes, mirrored images, rows that a loader names."""

import logging
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, RandomSampler, StackDataset, TensorDataset

from labelcut.models import (
    _running,
    bald,
    entropy,
    flip_disagreement,
    least_confidence,
    margin,
    mc_dropout,
    score,
    scoring,
    second_best_ratio,
)
from labelcut.models.scoring import OUTPUTS

X = torch.randn(23, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def network():
    """Build a small convolutional classifier with dropout and batch norm."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1),
        nn.BatchNorm2d(5),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(5 * 36, 4),
    )


def loader(x=X, **options):
    """Load rows in batches of five."""
    return DataLoader(TensorDataset(x), **{"batch_size": 5, **options})


def logits(model, x=X):
    """Run the model plainly."""
    with torch.no_grad():
        return model.eval()(x)


def test_every_output_is_what_its_function_says():
    """An output would be another measure, or of other rows."""
    model = network()
    scores = score(model, loader(), outputs=OUTPUTS, passes=3)
    probs = logits(model).softmax(1).numpy()
    mirrored = logits(model, X.flip(-1)).softmax(1).numpy()
    np.testing.assert_allclose(scores.probs, probs, atol=1e-6)
    np.testing.assert_array_equal(scores.predictions, probs.argmax(1))
    for measure in (entropy, least_confidence, margin, second_best_ratio):
        value = getattr(scores, measure.__name__)
        np.testing.assert_allclose(value, measure(probs), atol=1e-5)
        assert value.dtype == np.float32
        assert value.shape == (23,)
    expected = flip_disagreement(probs, mirrored)
    np.testing.assert_allclose(scores.flip_disagreement, expected, atol=1e-6)
    assert scores.bald.shape == (23,)
    assert scores.embeddings.shape == (23, 180)


@pytest.mark.parametrize("together", [700, 1500, 1 << 19])
def test_no_bit_depends_on_the_batches_that_are_finished_together(together, monkeypatch):
    """A run that was stopped and goes on, with other rows side by side, would end otherwise."""
    model = nn.Linear(7, 13)
    x = 5 * torch.randn(203, 7, generator=torch.Generator().manual_seed(0))
    wanted = [name for name in OUTPUTS if name not in ("bald", "flip_disagreement")]
    monkeypatch.setattr(scoring, "TOGETHER", 0)
    apart = score(model, loader(x), outputs=wanted)
    monkeypatch.setattr(scoring, "TOGETHER", together)
    ours = score(model, loader(x), outputs=wanted)
    for name in wanted:
        np.testing.assert_array_equal(getattr(ours, name), getattr(apart, name))


def test_batches_are_finished_together_and_slow_ones_at_once(monkeypatch):
    """Every batch would take the calls of all outputs, or a stop lose minutes of a slow network."""
    sizes, finish = [], scoring._Forward.finish

    def counted(self, blocks, rows):
        sizes.append(len(rows))
        return finish(self, blocks, rows)

    monkeypatch.setattr(scoring._Forward, "finish", counted)
    monkeypatch.setattr(scoring, "TOGETHER", 12 * 4 * (4 + 180))  # bytes of twelve rows
    score(network(), loader())
    assert sizes == [10, 10, 3]
    sizes.clear()
    monkeypatch.setattr(_running, "SECONDS", 0.0)
    score(network(), loader())
    assert sizes == [5, 5, 5, 5, 3]


def test_outputs_in_one_buffer_are_kept_while_they_wait():
    """Rows that wait for others would be overwritten by the model's next output."""

    class Reusing(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.room = nn.Linear(3, 4), torch.empty(5, 4)

        def forward(self, x):
            return self.room[: len(x)].copy_(self.fc(x))

    model, x = Reusing(), X[:, :, 0, 0]
    expected = logits(model.fc, x).softmax(1)
    np.testing.assert_allclose(score(model, loader(x)).probs, expected, atol=1e-6)


def test_only_what_is_asked_for_is_kept():
    """Probabilities of a thousand classes would fill memory for an entropy."""
    scores = score(network(), loader(), outputs="entropy")
    assert {name for name, value in vars(scores).items() if value is not None} == {"entropy"}


def test_bald_is_that_of_seeded_dropout_passes():
    """BALD would be computed without dropout, with batch norm learning, or differ every time."""
    model = network().train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    scores = score(model, loader(batch_size=23), outputs=["bald"], passes=6, seed=5)
    torch.testing.assert_close(dict(model.state_dict()), state)
    assert all(module.training for module in model.modules())
    with mc_dropout(model), torch.no_grad():
        torch.manual_seed(int(np.random.SeedSequence([5, 0]).generate_state(1)[0]))
        stack = [model(X).softmax(1).double().numpy() for _ in range(6)]
    np.testing.assert_allclose(scores.bald, bald(stack), atol=1e-6)
    before = torch.get_rng_state()
    again = score(model, [X], outputs=["bald"], passes=6, seed=5)
    np.testing.assert_array_equal(again.bald, scores.bald)
    torch.testing.assert_close(torch.get_rng_state(), before)
    other = score(model, loader(batch_size=23), outputs=["bald"], passes=6, seed=6)
    assert (other.bald != scores.bald).any()


@pytest.mark.parametrize(("pool", "width"), [("flatten", 5 * 36), ("mean", 5)])
def test_a_map_before_the_head_is_flattened_or_pooled(pool, width):
    """A fully convolutional network would have embeddings of as many numbers as pixels."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 5, 1), nn.Conv2d(5, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    scores = score(model, loader(), pool=pool)
    features = model[0](X).detach()
    expected = features.flatten(1) if pool == "flatten" else features.mean(dim=(2, 3))
    np.testing.assert_allclose(scores.embeddings, expected, atol=1e-6)
    assert scores.embeddings.shape == (23, width)


class Timm(nn.Module):
    """The shape of timm's classifiers: features, pooling, a head called by name."""

    def __init__(self, output):
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 3)
        self.head = nn.Linear(5, 4)
        self.output = output

    def forward(self, x):
        """Classify."""
        return self.output(self.head(self.stem(x).mean(dim=(2, 3))))


@pytest.mark.parametrize(
    "output",
    [lambda z: z, lambda z: (z, z.sum()), lambda z: {"out": z, "aux": -z}],
    ids=["timm", "tuple", "torchvision"],
)
@pytest.mark.parametrize("layer", [None, "head", "stem"])
def test_models_of_the_usual_libraries_work_unchanged(output, layer):
    """Models of torchvision and timm would need a wrapper."""
    torch.manual_seed(0)
    model = Timm(output)
    scores = score(model, loader(), layer=layer)
    features = model.stem(X).mean(dim=(2, 3)).detach()
    expected = X.flatten(1) if layer == "stem" else features
    np.testing.assert_allclose(scores.embeddings, expected, atol=1e-6)


class Named(Dataset):
    """A dataset that says which row it gives."""

    def __len__(self):
        """Return the number of rows."""
        return 23

    def __getitem__(self, row):
        """Give a row and its number."""
        return {"indices": row, "x": X[row]}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_shuffling_loader_that_names_rows_gives_dataset_order(workers):
    """Rows would not match the dataset."""
    model = network()
    expected = score(model, loader(), outputs=["probs"]).probs
    shuffling = DataLoader(Named(), batch_size=5, shuffle=True, num_workers=workers)
    np.testing.assert_allclose(
        score(model, shuffling, outputs=["probs"]).probs, expected, atol=1e-6
    )


def test_an_iterable_that_names_rows_gives_dataset_order():
    """A stream in another order would be taken for the dataset's."""
    model = network()
    expected = score(model, loader(), outputs=["probs"]).probs
    order = torch.randperm(23, generator=torch.Generator().manual_seed(1))
    stream = ({"image": X[some], "indices": some} for some in order.split(4))
    np.testing.assert_allclose(score(model, stream, outputs=["probs"]).probs, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([{"x": X[:2], "indices": torch.tensor([0, 2])}], r"2 came for 3; .*row 1 is the first"),
        ([{"x": X[:2], "indices": torch.tensor([0])}], r'"indices" must hold 2 row numbers'),
        ([{"x": X[:2], "indices": torch.tensor([0.5, 1])}], r'"indices" must hold 2 row numbers'),
        ([{"x": X[:2], "indices": torch.tensor([0, -1])}], r'"indices" must hold 2 row numbers'),
        (
            DataLoader(Named(), sampler=RandomSampler(Named(), num_samples=9), batch_size=4),
            r"9 came for 23; check.* is the first that is missing",
        ),
        (
            DataLoader(StackDataset(indices=torch.arange(23) + 5, x=X), shuffle=True),
            r'"indices" must hold 1 row numbers from 0 to N - 1',
        ),
    ],
)
def test_rows_that_are_missing_or_do_not_exist_are_refused(batches, message):
    """Scores would hold rows that were never computed."""
    with pytest.raises(ValueError, match=message):
        score(network(), batches, outputs=["probs"])


class Small(nn.Module):
    """A model on a device that holds so many rows."""

    def __init__(self, holds):
        super().__init__()
        self.holds = holds
        self.sizes = []
        self.fc = nn.Linear(3 * 36, 4)

    def forward(self, x):
        """Classify, or run out of memory."""
        self.sizes.append(len(x))
        if len(x) > self.holds:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.fc(x.flatten(1))


def test_a_batch_that_does_not_fit_is_halved_and_said_once(caplog):
    """A pool would have to be scored from the start with a smaller batch."""
    torch.manual_seed(0)
    model = Small(6)
    expected = logits(model, X[:6]).softmax(1)
    with caplog.at_level(logging.WARNING, logger="labelcut"):
        scores = score(model, loader(batch_size=20), outputs=["probs", "embeddings"])
    np.testing.assert_allclose(scores.probs[:6], expected, atol=1e-6)
    np.testing.assert_array_equal(scores.embeddings, X.flatten(1))
    assert model.sizes[1:] == [20, 10, 5, 5, 5, 5, 3]
    assert [r.message for r in caplog.records] == [
        "out of memory with 20 rows at a time: going on with half batches"
    ]


def test_a_row_that_does_not_fit_is_an_error():
    """Halving would go on for ever."""
    with pytest.raises(torch.OutOfMemoryError, match="Tried to allocate"):
        score(Small(0), loader(), outputs=["probs"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outputs": ["entropi"]}, r'outputs: must be "probs" or .*; \'entropi\' came'),
        ({"outputs": []}, r"outputs: must name at least one"),
        ({"outputs": ["bald"], "passes": 1}, r"passes: BALD needs at least 2; 1 came"),
        ({"pool": "max"}, r'pool: must be "flatten" or "mean"; \'max\' came'),
        ({"out": "x", "loader": X.split(5)}, r"out: needs a loader whose number of rows is known"),
    ],
)
def test_unknown_options_are_refused(options, message, tmp_path, monkeypatch):
    """A misspelt output would be left out."""
    monkeypatch.chdir(tmp_path)
    batches = options.pop("loader", loader())
    with pytest.raises(ValueError, match=message):
        score(network(), batches, **options)
    assert list(tmp_path.iterdir()) == []


def test_bald_without_dropout_is_refused():
    """BALD would be 0 for every row."""
    with pytest.raises(ValueError, match=r"model: must have a dropout layer"):
        score(Small(50), loader(), outputs=["bald"])


def test_mirroring_what_is_no_image_is_refused():
    """The features of a vector would be put in reverse order."""
    model = nn.Linear(6, 4)
    with pytest.raises(ValueError, match=r"flip_disagreement: inputs must be images"):
        score(model, loader(X[:, 0, 0]), outputs=["flip_disagreement"])


@pytest.mark.parametrize("outputs", [["probs"], ["entropy"], ["bald"], ["flip_disagreement"]])
def test_a_row_that_is_not_finite_is_named_whatever_is_asked_for(outputs):
    """The error would count rows from the start of a batch."""
    x = X.clone()
    x[13] = math.nan
    with pytest.raises(ValueError, match=r"model: logits must be finite; row 13 of the dataset"):
        score(network(), loader(x), outputs=outputs)


def test_logits_as_far_apart_as_numbers_can_be_have_an_entropy():
    """Zero times the infinite logarithm of a probability of zero would be no number."""
    x = torch.tensor([[3e38, -3e38, 0.0], [0.0, 0.0, -3e38]])
    found = score(nn.Identity(), loader(x), outputs="entropy").entropy
    np.testing.assert_allclose(found, [0.0, np.log(2)], rtol=1e-6)


def test_measures_of_what_is_no_distribution_are_refused():
    """Logits would be taken for probabilities where the softmax was turned off by mistake."""
    with pytest.raises(ValueError, match=r'not logits, or drop apply="none" \(rows of the batch'):
        score(network(), loader(), outputs=["entropy"], apply="none")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("pin", [False, True])
def test_a_gpu_gives_what_the_cpu_gives(pin):
    """Results read too early, or of the batch before, would be kept."""
    model = network()
    x = torch.randn(2000, 3, 6, 6)
    wanted = ("probs", "embeddings", "predictions", "entropy", "flip_disagreement")
    ours = score(model, loader(x, pin_memory=pin), outputs=wanted, device="cuda", amp="off")
    theirs = score(model, loader(x), outputs=wanted)
    for name in wanted:
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-4)
