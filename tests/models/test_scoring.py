"""Scoring a dataset: order, batches and outputs of all kinds, embeddings, the model left as is."""

import dataclasses
import math
from collections import OrderedDict, UserDict, namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.special
import torch
from torch import nn
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StackDataset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from labelcut.models import Scores, score

X = torch.randn(23, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(23)
WEIGHTS = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
TRUTH = scipy.special.softmax(X.double().numpy() @ WEIGHTS.double().numpy().T, axis=1)

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


class Wrapped(nn.Module):
    """A known linear classifier (4 classes) whose output is wrapped by a function."""

    def __init__(self, wrap=lambda logits: logits):
        super().__init__()
        self.fc = nn.Linear(6, 4, bias=False)
        self.fc.weight.data = WEIGHTS.clone()
        self.wrap = wrap

    def forward(self, x):
        """Classify, then wrap."""
        return self.wrap(self.fc(x))


def loader(*tensors, **options):
    """Load the rows of X (or other tensors) in batches of five, the last one of three."""
    return DataLoader(TensorDataset(*(tensors or (X,))), **{"batch_size": 5, **options})


def test_probs_are_the_softmax_in_dataset_order():
    """Scores would belong to other rows than their index says, or not be a softmax."""
    scores = score(Wrapped(), loader())
    np.testing.assert_allclose(scores.probs, TRUTH, atol=1e-6)
    np.testing.assert_array_equal(scores.embeddings, X)
    assert scores.probs.dtype == scores.embeddings.dtype == np.float32


@pytest.mark.parametrize("batch_size", [1, 4, 23, 100])
def test_batch_size_does_not_show(batch_size):
    """Rows of the first or last batch would be lost or misplaced."""
    np.testing.assert_allclose(
        score(Wrapped(), loader(batch_size=batch_size)).probs, TRUTH, atol=1e-6
    )


@pytest.mark.parametrize(
    "batch",
    [
        lambda x, y: x,
        lambda x, y: (x, y),
        lambda x, y: [x, y, y],
        lambda x, y: namedtuple("Batch", "image label")(x, y),
        lambda x, y: {"label": y, "x": x},
        lambda x, y: {"label": y, "image": x},
        lambda x, y: UserDict(label=y, pixel_values=x),
        lambda x, y: {"id": "17", "scan": x, "label": y},
        lambda x, y: ({"label": y, "image": x}, y),
    ],
)
def test_batches_of_all_kinds(batch):
    """A common dataset layout would be refused, or its labels fed to the model."""
    batches = [batch(X[i : i + 5], Y[i : i + 5]) for i in range(0, 23, 5)]
    np.testing.assert_allclose(score(Wrapped(), batches).probs, TRUTH, atol=1e-6)


def test_datasets_that_give_pairs_or_dicts():
    """What DataLoader's own collation makes would not be understood."""
    for data in (TensorDataset(X, Y), StackDataset(label=Y, image=X)):
        np.testing.assert_allclose(
            score(Wrapped(), DataLoader(data, batch_size=5)).probs, TRUTH, atol=1e-6
        )


@pytest.mark.parametrize(
    "wrap",
    [
        lambda z: (z, z.sum()),
        lambda z: [z],
        lambda z: {"features": -z, "logits": z},
        lambda z: OrderedDict(out=z, aux=-z),
        lambda z: SimpleNamespace(loss=None, logits=z),
        lambda z: namedtuple("Output", "loss logits")(z.sum(), z),
    ],
)
def test_outputs_of_all_kinds(wrap):
    """Models of torchvision or transformers would need a wrapper, or give another output."""
    np.testing.assert_allclose(score(Wrapped(wrap), loader()).probs, TRUTH, atol=1e-6)


@pytest.mark.parametrize("output", [None, "logits", {"prediction": 1}, {"z": torch.ones(5, 2)}])
def test_outputs_without_logits_are_refused(output):
    """A wrong tensor would be taken for logits, or the error would not say what came."""
    with pytest.raises(TypeError, match=r"model: must return a tensor.* came; wrap"):
        score(Wrapped(lambda _: output), loader())


@pytest.mark.parametrize("batch", [None, {"id": ["a"]}, np.ones((5, 6)), []])
def test_batches_without_a_tensor_are_refused(batch):
    """The user would meet an AttributeError from deep inside."""
    with pytest.raises(TypeError, match=r"loader: a batch must be or hold a tensor; .* came"):
        score(Wrapped(), [batch])


def test_a_shared_frozen_layer_stays_frozen():
    """Restoring the second owner of a shared layer would thaw it."""
    norm = nn.BatchNorm1d(6)
    model = nn.Sequential(nn.Sequential(norm), nn.Sequential(norm), Wrapped()).train()
    norm.eval()
    score(model, loader())
    assert model[1].training
    assert not norm.training


class EveryOther(Sampler):
    """A sampler that scoring knows nothing about."""

    def __iter__(self):
        """Yield every other row, from the last to the first."""
        return iter(range(22, -1, -2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shuffle": True}, r"loader: rows must come in dataset order; a RandomSampler came"),
        ({"sampler": SubsetRandomSampler(range(23))}, r"a SubsetRandomSampler came"),
        ({"sampler": WeightedRandomSampler([1.0] * 23, 23)}, r"a WeightedRandomSampler came"),
        (
            {"batch_sampler": BatchSampler(RandomSampler(X), 5, False), "batch_size": 1},
            r"a RandomSampler came",
        ),
        ({"drop_last": True}, r"loader: every row must come; drop_last=True"),
        (
            {"batch_sampler": BatchSampler(SequentialSampler(X), 5, True), "batch_size": 1},
            r"drop_last=True",
        ),
    ],
)
def test_loaders_that_lose_the_order_are_refused(options, message):
    """Row i of the scores would not be row i of the dataset."""
    with pytest.raises(ValueError, match=message):
        score(Wrapped(), loader(**options))


def test_other_samplers_and_iterables_are_taken_as_they_come():
    """A custom order, a stream or a plain list of batches could not be scored."""

    class Stream(IterableDataset):
        def __iter__(self):
            return iter(X)

    np.testing.assert_allclose(
        score(Wrapped(), loader(sampler=EveryOther())).probs, TRUTH[::-2], atol=1e-6
    )
    np.testing.assert_allclose(
        score(Wrapped(), DataLoader(Stream(), batch_size=5)).probs, TRUTH, atol=1e-6
    )
    np.testing.assert_allclose(
        score(Wrapped(), (batch for batch in X.split(5))).probs, TRUTH, atol=1e-6
    )
    np.testing.assert_allclose(
        score(Wrapped(), DataLoader(X.split(5), batch_size=None)).probs, TRUTH, atol=1e-6
    )


def test_outputs_that_share_one_buffer():
    """Earlier rows would be overwritten by later ones where the number of rows is unknown."""
    buffer = torch.empty(1, 4)
    model = Wrapped(lambda z: buffer.copy_(z.softmax(1)))
    scores = score(model, X.split(1), apply="none")
    np.testing.assert_allclose(scores.probs, TRUTH, atol=1e-6)


def test_outputs_that_are_probabilities_are_kept():
    """A second softmax would flatten every distribution."""
    scores = score(Wrapped(lambda z: z.softmax(1)), loader(), apply="none")
    np.testing.assert_allclose(scores.probs, TRUTH, atol=1e-6)


@pytest.mark.parametrize(
    "empty", [[], loader(torch.empty(0, 6)), iter(())], ids=["list", "dataset", "iterator"]
)
def test_an_empty_loader_is_an_error(empty):
    """An exhausted generator would give a pool of no rows."""
    with pytest.raises(ValueError, match=r"loader: must give at least one batch; none came"):
        score(Wrapped(), empty)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("row", [0, 13, 22])
def test_logits_that_are_not_finite_name_the_row(bad, row):
    """NaN would spread into the problem, and the user would not find the broken image."""
    x = X.clone()
    x[row] = bad
    with pytest.raises(ValueError, match=rf"model: logits must be finite; row {row} of the"):
        score(Wrapped(), loader(x))


@pytest.mark.parametrize(
    "wrap", [lambda z: z[:, :1], lambda z: z[:, 0], lambda z: z[:, :, None], lambda z: z.sum()]
)
def test_logits_of_another_shape_are_refused(wrap):
    """A sigmoid output or a segmentation map would be scored as if it were a classifier."""
    with pytest.raises(ValueError, match=r"model: logits must have shape \(batch, C\)"):
        score(Wrapped(wrap), loader())


@pytest.mark.parametrize("wrap", [lambda z: z[1:], lambda z: torch.cat([z, z])])
def test_a_model_that_loses_or_adds_rows_is_refused(wrap):
    """Rows would shift against the dataset."""
    with pytest.raises(ValueError, match=r"model: must give one row for each row of the dataset"):
        score(Wrapped(wrap), loader(), outputs="probs")


@pytest.mark.parametrize("outputs", ["probs", "entropy", "predictions", "embeddings"])
@pytest.mark.parametrize("known", [True, False])
def test_a_changing_number_of_classes_is_refused(known, outputs):
    """Columns of different batches would be mixed up."""
    model = Wrapped(lambda z: z[:, : 4 if len(z) == 5 else 3])
    batches = loader() if known else X.split(5)
    with pytest.raises(ValueError, match=r"4 columns came for the first rows, 3 from row 20 on"):
        score(model, batches, outputs=outputs)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (TensorDataset(X), r"loader: must give batches; a TensorDataset came, which gives single"),
        (None, r"loader: must be a DataLoader or give batches otherwise; NoneType came; pass"),
    ],
)
def test_what_gives_no_batches_is_refused(batches, message):
    """Single rows would be taken for batches, and the error would be the model's."""
    with pytest.raises(TypeError, match=message):
        score(Wrapped(), batches)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_of_another_precision(dtype):
    """Float32 inputs would not fit half-precision weights, or softmax would be rounded to half."""
    scores = score(Wrapped().to(dtype), loader())
    assert scores.probs.dtype == scores.embeddings.dtype == np.float32
    np.testing.assert_allclose(scores.probs.sum(axis=1), 1, atol=1e-6)
    logits = (X.to(dtype) @ WEIGHTS.to(dtype).T).double()
    np.testing.assert_allclose(scores.probs, scipy.special.softmax(logits, axis=1), atol=1e-6)


def test_integer_inputs_stay_integers():
    """Token ids would reach an embedding table as floats."""
    model = nn.Sequential(nn.EmbeddingBag(23, 6), nn.Linear(6, 4))
    assert score(model, loader(Y[:, None])).probs.shape == (23, 4)


def test_autocast_is_off_on_the_cpu_unless_asked_for():
    """Scores on a CPU would lose precision without being asked."""
    seen = []
    model = Wrapped(lambda z: seen.append(z.dtype) or z)
    score(model, loader())
    score(model, loader(), amp="off")
    assert set(seen) == {torch.float32}
    seen.clear()
    scores = score(model, loader(), amp=torch.bfloat16)
    assert set(seen) == {torch.bfloat16}
    np.testing.assert_allclose(scores.probs, TRUTH, atol=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"amp": torch.float16}, r"amp: must be .* torch.float16 came for cpu"),
        ({"amp": "fast"}, r"amp: must be"),
        ({"apply": "sigmoid"}, r'apply: must be "softmax" or "none"; \'sigmoid\' came'),
        ({"device": "abacus"}, r"device: "),
    ],
)
def test_unknown_options_are_refused(options, message):
    """A misspelt option would be ignored."""
    with pytest.raises(ValueError, match=message):
        score(Wrapped(), loader(), **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_missing_gpu_is_said_plainly():
    """The user would meet torch's lazy-init error."""
    with pytest.raises(ValueError, match=r"device: cuda was asked for, torch sees no GPU"):
        score(Wrapped(), loader(), device="cuda")


def test_a_model_spread_over_devices_is_not_moved():
    """It would come back with everything on its first device."""
    model = Wrapped()
    model.register_buffer("elsewhere", torch.empty(1, device="meta"))
    with pytest.raises(ValueError, match=r"device: a model spread over cpu, meta cannot be moved"):
        score(model, loader(), device="cpu")
    np.testing.assert_allclose(score(model, loader()).probs, TRUTH, atol=1e-6)


def test_what_is_no_module_is_refused():
    """A plain function would fail without a hint."""
    with pytest.raises(TypeError, match=r"model: must be a torch.nn.Module; function came"):
        score(lambda x: x, loader())


@needs_cuda
@pytest.mark.parametrize("amp", ["auto", "off", torch.float16, torch.bfloat16])
def test_a_gpu_run_brings_the_model_back(amp):
    """Scores of the GPU would differ, or the model would stay on it."""
    model = Wrapped()
    scores = score(model, loader(), device="cuda", amp=amp)
    np.testing.assert_allclose(scores.probs, TRUTH, atol=1e-5 if amp == "off" else 0.05)
    assert model.fc.weight.device.type == "cpu"
    assert not model.fc.weight.is_inference()


@needs_cuda
def test_the_model_stays_where_it_is():
    """A model on the GPU would be scored on the CPU."""
    model = Wrapped().cuda()
    np.testing.assert_allclose(score(model, loader(), amp="off").probs, TRUTH, atol=1e-5)
    assert model.fc.weight.is_cuda


@pytest.mark.parametrize("batches", [loader(), X.split(5), iter(X.split(5))])
def test_progress_goes_to_stderr(batches, capsys):
    """A progress bar would spoil the JSON on stdout."""
    scores = score(Wrapped(), batches, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "scoring" in err
    np.testing.assert_allclose(scores.probs, TRUTH, atol=1e-6)


def test_no_progress_means_silence(capsys):
    """A library call would print."""
    score(Wrapped(), loader())
    assert capsys.readouterr() == ("", "")


def test_scores_cannot_be_reassigned():
    """Probabilities and embeddings of different runs could be mixed by accident."""
    scores = Scores(np.ones((1, 2), np.float32), None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        scores.probs = None
