"""Embeddings that scoring takes along: the input of the layer that classifies."""

from collections import OrderedDict

import numpy as np
import pytest
import scipy.special
import torch
from torch import nn
from torch.utils.data import (
    DataLoader,
    Dataset,
    TensorDataset,
)

from labelcut.models import score

X = torch.randn(23, 6, generator=torch.Generator().manual_seed(0))


WEIGHTS = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))


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


def deep_model():
    """Build a network with dropout and batch norm: wrong in training mode."""
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(
            hidden=nn.Linear(6, 16),
            norm=nn.BatchNorm1d(16),
            act=nn.ReLU(inplace=True),
            drop=nn.Dropout(0.5),
            fc=nn.Linear(16, 4),
        )
    )


def hooks(model):
    """Count the forward pre-hooks that hang on a model."""
    return sum(len(module._forward_pre_hooks) for module in model.modules())


def test_embeddings_times_the_last_layer_are_the_logits():
    """Embeddings would be those of another layer, or overwritten by an in-place one."""
    model = deep_model()
    scores = score(model, loader())
    logits = scores.embeddings @ model.fc.weight.detach().numpy().T + model.fc.bias.detach().numpy()
    np.testing.assert_allclose(scores.probs, scipy.special.softmax(logits, axis=1), atol=1e-6)
    assert scores.embeddings.shape == (23, 16)


def test_the_layer_that_runs_last_counts_not_the_one_registered_last():
    """A projection head or an unused layer would pass for the classifier."""

    class Reversed(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 4)
            self.trunk = nn.Linear(6, 3)
            self.same_width = nn.Linear(3, 4)
            self.projection = nn.Linear(3, 2)

        def forward(self, x):
            features = self.trunk(x)
            self.same_width(features + 1)
            logits = self.fc(input=features)
            return logits, self.projection(features)

    model = Reversed()
    expected = model.trunk(X).detach()
    np.testing.assert_allclose(score(model, loader()).embeddings, expected, atol=1e-6)


def test_a_convolution_can_be_the_classifier():
    """Fully convolutional classifiers would have no embeddings."""
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    images = torch.randn(7, 1, 5, 5)
    scores = score(model, loader(images))
    np.testing.assert_allclose(scores.embeddings, model[0](images).flatten(1).detach(), atol=1e-6)


@pytest.mark.parametrize("named", [True, False])
def test_a_chosen_layer_gives_its_input(named):
    """The user could not say where embeddings come from, or an in-place layer would spoil them."""
    model = deep_model().eval()
    expected = model.norm(model.hidden(X)).detach()
    assert (expected < 0).any()
    scores = score(model, loader(), layer="act" if named else model.act)
    np.testing.assert_allclose(scores.embeddings, expected, atol=1e-6)


def test_images_are_flattened():
    """Embeddings of a convolutional layer would not be vectors."""
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten(), nn.Linear(18, 3))
    images = torch.randn(7, 1, 3, 3)
    scores = score(model, loader(images), layer="0")
    np.testing.assert_array_equal(scores.embeddings, images.flatten(1))


class Cosine(nn.Module):
    """A classifier without any linear layer."""

    def forward(self, x):
        """Compare with fixed prototypes."""
        return nn.functional.normalize(x) @ WEIGHTS.T


class Unused(Wrapped):
    """A classifier with a layer that never runs."""

    def __init__(self):
        super().__init__()
        self.spare = nn.Linear(6, 6)


class PerToken(nn.Module):
    """A classifier whose head runs on more rows than the batch has."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 4)

    def forward(self, x):
        """Classify halves of a row and average."""
        return self.fc(x.reshape(-1, 3)).reshape(-1, 2, 4).mean(1)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (Cosine(), {}, r"no linear or convolution layer with 4 outputs ran; pass layer="),
        (
            nn.Sequential(nn.Linear(6, 5), Cosine()),
            {"layer": "1.fc"},
            r"layer: no module of the model is called '1.fc'",
        ),
        (Unused(), {"layer": "spare"}, r"the chosen layer did not run, or took no tensor"),
        (Wrapped(), {"layer": nn.Linear(6, 4)}, r"layer: must be a module of the model"),
        (Wrapped(), {"layer": "fc", "outputs": ["probs"]}, r"layer: .* outputs= has no"),
        (PerToken(), {}, r"one row for each of the 5 rows of logits; shape \(10, 3\) came"),
    ],
)
def test_where_no_layer_gives_embeddings(model, options, message):
    """Embeddings would silently be something else, or the way out would stay unsaid."""
    with pytest.raises(ValueError, match=message):
        score(model, loader(), **options)
    assert hooks(model) == 0


def test_without_embeddings_any_model_goes():
    """A model without a linear layer could not be scored at all."""
    scores = score(Cosine(), loader(), outputs="probs")
    assert scores.embeddings is None
    assert scores.probs.shape == (23, 4)


def mixed_modes():
    """Build a model whose submodules are in different modes: a frozen batch norm in training."""
    model = deep_model().train()
    model.norm.eval()
    return model


def modes(model):
    """List the training mode of every submodule."""
    return {name: module.training for name, module in model.named_modules()}


def test_the_model_runs_in_evaluation_mode():
    """Dropout would make the scores random, and batch norm would learn from the pool."""
    model = deep_model().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, second = score(model, loader()), score(model, loader(batch_size=23))
    np.testing.assert_allclose(first.probs, second.probs, atol=1e-6)
    torch.testing.assert_close(dict(model.state_dict()), before)
    with torch.no_grad():
        expected = model.eval()(X).softmax(1)
    np.testing.assert_allclose(first.probs, expected, atol=1e-6)


def test_modes_and_hooks_come_back():
    """Training would go on with batch norm unfrozen, and every forward would keep activations."""
    model = mixed_modes()
    before = modes(model)
    score(model, loader())
    assert modes(model) == before
    assert len(set(before.values())) == 2
    assert hooks(model) == 0


def test_after_the_first_batch_only_the_classifying_layer_is_watched():
    """Every layer's activations would be copied in every batch."""
    model, counts = deep_model(), []
    model.register_forward_hook(lambda *_: counts.append(hooks(model)))
    score(model, loader())
    assert counts == [2, 1, 1, 1, 1]


@pytest.mark.parametrize("bad_row", [0, 12])
def test_modes_and_hooks_come_back_after_an_exception(bad_row):
    """One unreadable image would leave the user's model in evaluation mode."""

    class Broken(Dataset):
        def __len__(self):
            return 23

        def __getitem__(self, row):
            if row == bad_row:
                raise OSError("unreadable")
            return X[row]

    model = mixed_modes()
    before = modes(model)
    with pytest.raises(OSError, match="unreadable"):
        score(model, DataLoader(Broken(), batch_size=5))
    assert modes(model) == before
    assert hooks(model) == 0


def test_training_goes_on_after_scoring():
    """Parameters, or tensors a dataset caches, would come back unfit for autograd."""

    class Caching(Dataset):
        def __init__(self):
            self.cache = {}

        def __len__(self):
            return 23

        def __getitem__(self, row):
            return self.cache.setdefault(row, X[row] * 2)

    model, data = deep_model(), Caching()
    score(model, DataLoader(data, batch_size=5))
    model(torch.stack([data[row] for row in range(23)])).sum().backward()
    assert not any(value.is_inference() for value in data.cache.values())
    assert model.hidden.weight.grad is not None
