"""Regions of segmented images against maps cut by hand, of sizes that do not divide too."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from labelcut.models import bald, flip_disagreement, mc_dropout, regions, score_regions
from labelcut.models.regions import region_blocks

HEIGHT, WIDTH, CLASSES = 22, 37, 5


def probability_map(seed=0, height=HEIGHT, width=WIDTH, classes=CLASSES):
    """Draw a map of distributions, classes first, with exact zeros and ties."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(classes, 0.4), (height, width))
    p[:3, :4] = [0.4, 0.4, 0.2, 0.0, 0.0]
    p[5, :] = np.eye(classes)[2]
    return np.moveaxis(p, -1, 0)


def cut(values, mask, region):
    """Cut a map into lists of the values that count, region by region, row by row."""
    height, width = mask.shape
    return [
        [
            values[..., i, j]
            for i in range(top, min(top + region[0], height))
            for j in range(left, min(left + region[1], width))
            if mask[i, j]
        ]
        for top in range(0, height, region[0])
        for left in range(0, width, region[1])
    ]


def slow_stats(values, mask, region):
    """Compute minimum, mean, maximum and sum of every region."""
    return np.array(
        [
            [min(v), sum(v) / len(v), max(v), sum(v)] if v else [0] * 4
            for v in cut(values, mask, region)
        ]
    )


def padded_mask():
    """Pad at the right and bottom, and void some pixels; one region is nothing but padding."""
    mask = np.ones((HEIGHT, WIDTH), dtype=bool)
    mask[-3:], mask[:, -9:], mask[2, 3:9] = False, False, False
    return mask


@pytest.mark.parametrize("region", [(4, 6), (22, 37), (1, 1), (5, 8), (100, 100), (11, 37)])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("band", [None, 1, 600, 1 << 20])
def test_regions_are_what_cutting_by_hand_gives(region, masked, band, monkeypatch):
    """Pixels would be counted in another region, or padding would count."""
    if band is not None:  # as on a GPU, in bands
        monkeypatch.setattr(regions, "in_one_pass", lambda *_: None)
        monkeypatch.setattr(regions, "_BAND", band)
    p = probability_map()
    mask = padded_mask() if masked else np.ones((HEIGHT, WIDTH), dtype=bool)
    blocks = region_blocks(
        torch.from_numpy(p), region, softmax=False, mask=torch.from_numpy(mask) if masked else None
    )
    entropies = scipy.stats.entropy(p, axis=0)
    np.testing.assert_allclose(blocks["entropy"], slow_stats(entropies, mask, region), atol=2e-4)
    predicted = cut(p.argmax(0), mask, region)
    counts = np.array(
        [np.bincount(v, minlength=CLASSES) if v else [0] * CLASSES for v in predicted]
    )
    np.testing.assert_array_equal(blocks["pixels"], counts.sum(1))
    expected = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    np.testing.assert_allclose(blocks["histogram"], expected, atol=1e-6)
    tops = [t for t in range(0, HEIGHT, region[0]) for _ in range(0, WIDTH, region[1])]
    assert blocks["box"][:, 0].tolist() == tops
    assert int((blocks["box"][:, 2] * blocks["box"][:, 3]).sum()) == HEIGHT * WIDTH


@pytest.mark.parametrize("cells", [None, 2])
def test_maps_of_any_sign_are_summarized(cells):
    """Padding or borders would enter as zeros, the largest of values below 0."""
    values = -1 - np.random.default_rng(2).random((HEIGHT, WIDTH))
    mask = padded_mask()
    blocks = region_blocks(
        torch.from_numpy(probability_map()),
        (4, 6),
        softmax=False,
        mask=torch.from_numpy(mask),
        cells=cells,
        maps={"other": torch.from_numpy(values)},
    )
    np.testing.assert_allclose(blocks["other"], slow_stats(values, mask, (4, 6)), rtol=1e-5)


@pytest.mark.parametrize(("region", "cells"), [((4, 6), 2), ((6, 9), 3), ((8, 8), 4), ((4, 6), 1)])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_cells_are_pooled_region_by_region(region, cells, masked, compiled, monkeypatch):
    """RALIS's features would mix cells of neighboring regions, or be in another order."""
    if not compiled:
        monkeypatch.setattr(regions, "in_one_pass", lambda *_: None)
    p = probability_map()
    mask = padded_mask() if masked else np.ones((HEIGHT, WIDTH), dtype=bool)
    blocks = region_blocks(
        torch.from_numpy(p), region, softmax=False, mask=torch.from_numpy(mask), cells=cells
    )
    entropies = scipy.stats.entropy(p, axis=0)
    h, w = region[0] // cells, region[1] // cells
    whole = slow_stats(entropies, mask, region)
    np.testing.assert_allclose(blocks["entropy"], whole, atol=2e-4)
    for row, (top, left, _, _) in enumerate(blocks["box"].tolist()):
        for k in range(cells * cells):
            i, j = top + k // cells * h, left + k % cells * w
            inside = mask[i : i + h, j : j + w]
            values = entropies[i : i + h, j : j + w][inside]
            stats = [values.min(), values.mean(), values.max()] if len(values) else whole[row, :3]
            found = blocks["entropy_cells"][row, [k, cells**2 + k, 2 * cells**2 + k]]
            np.testing.assert_allclose(found, stats, atol=1e-5)


@pytest.mark.parametrize("coarse", [(22, 37), (11, 37), (6, 9), (1, 1)])
@pytest.mark.parametrize("region", [(4, 6), (22, 37)])
def test_mean_features_are_those_of_the_enlarged_map(coarse, region):
    """Features of a coarse map would belong to other regions."""
    f = np.random.default_rng(1).normal(size=(3, *coarse))
    blocks = region_blocks(
        torch.from_numpy(probability_map()), region, softmax=False, features=torch.from_numpy(f)
    )
    # Fine enough for every position to cover whole sub-pixels.
    scale = [math.lcm(n, c) for n, c in zip((HEIGHT, WIDTH), coarse, strict=True)]
    large = f.repeat(scale[0] // coarse[0], axis=1).repeat(scale[1] // coarse[1], axis=2)
    steps = scale[0] // HEIGHT, scale[1] // WIDTH
    for row, (top, left, height, width) in enumerate(blocks["box"].tolist()):
        part = large[
            :,
            top * steps[0] : (top + height) * steps[0],
            left * steps[1] : (left + width) * steps[1],
        ]
        np.testing.assert_allclose(blocks["features"][row], part.mean(axis=(1, 2)), atol=1e-5)


def test_padding_does_not_enter_mean_features():
    """Black borders would pull every feature of an image's edge together."""
    f = np.random.default_rng(1).normal(size=(3, HEIGHT, WIDTH))
    mask = padded_mask()
    blocks = region_blocks(
        torch.from_numpy(probability_map()),
        (4, 6),
        softmax=False,
        mask=torch.from_numpy(mask),
        features=torch.from_numpy(f),
    )
    for found, values in zip(blocks["features"], cut(f, mask, (4, 6)), strict=True):
        np.testing.assert_allclose(found, np.mean(values, axis=0) if values else 0, atol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_lower_precision_maps_are_summed_in_float32(dtype, compiled, monkeypatch):
    """Sums over thousands of pixels in half precision stop growing at 2048."""
    if not compiled:
        monkeypatch.setattr(regions, "in_one_pass", lambda *_: None)
    p = torch.full((2, 64, 64), 0.5, dtype=dtype)
    blocks = region_blocks(p, (64, 64), softmax=False)
    assert blocks["entropy"][0, 3].item() == pytest.approx(64 * 64 * math.log(2), rel=1e-6)


def test_ties_are_predicted_as_the_lowest_class():
    """The class presence of an undecided region would depend on the machine."""
    blocks = region_blocks(torch.full((4, 6, 6), 0.25), (6, 6), softmax=False)
    np.testing.assert_array_equal(blocks["histogram"], [[1, 0, 0, 0]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": torch.ones(3, 4)}, r"probs: must have shape \(C, H, W\)"),
        ({"scores": torch.randn(3, 4, 5)}, r"probs: pixel \(0, 0\) sums to .*pass softmax outputs"),
        (
            {"scores": torch.rand(4, 5, 3).softmax(2)},
            r"probs: pixel .* move the classes from the last axis to the first",
        ),
        ({"region": (0, 4)}, r"region: must be a height and width of 1 or more; \(0, 4\) came"),
        ({"cells": 3}, r"cells: must divide the region's height and width \(2, 2\); 3 came"),
        ({"mask": torch.ones(3, 3)}, r"mask: must have the image's shape \(4, 5\); \(3, 3\) came"),
        ({"maps": {"bald": torch.ones(3, 3)}}, r"maps: must have .* came as bald"),
        ({"features": torch.ones(3)}, r"features: must have shape \(D, h, w\); \(3,\) came"),
        (
            {"scores": torch.full((3, 4, 5), torch.nan), "softmax": True},
            r"model: logits must be finite; pixel \(0, 0\) came out otherwise",
        ),
    ],
)
def test_maps_that_do_not_fit_are_refused(change, message):
    """Regions would hold nonsense of the right shape."""
    good = {"scores": torch.rand(3, 4, 5).softmax(0), "region": (2, 2), "softmax": False}
    with pytest.raises(ValueError, match=message):
        region_blocks(**{**good, **change})


def network():
    """Build a small segmentation network with dropout and batch norm."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Dropout2d(0.5),
        nn.Conv2d(6, CLASSES, 1),
    )


IMAGES = torch.randn(5, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))


def test_scored_regions_are_those_of_the_whole_images():
    """Images would be cut before the network sees them, or rows lead to other regions."""
    model = network()
    found = score_regions(
        model,
        DataLoader(TensorDataset(IMAGES), batch_size=2),
        (8, 10),
        maps=["entropy", "flip_disagreement"],
        features=True,
    )
    with torch.no_grad():
        probs = model.eval()(IMAGES).softmax(1)
        mirrored = model(IMAGES.flip(-1)).softmax(1)
        features = model[2](model[1](model[0](IMAGES)))
    flips = flip_disagreement(probs, mirrored, 1, width_axis=-1)
    every = np.ones((HEIGHT, WIDTH), dtype=bool)
    number = 3 * 4
    np.testing.assert_array_equal(found.image, np.repeat(np.arange(5), number))
    for i in range(5):
        some = slice(i * number, (i + 1) * number)
        entropies = scipy.stats.entropy(probs[i].double().numpy(), axis=0)
        expected = slow_stats(entropies, every, (8, 10))
        for k, name in enumerate(["min", "mean", "max", "sum"]):
            np.testing.assert_allclose(
                getattr(found.entropy, name)[some], expected[:, k], rtol=1e-4, atol=1e-5
            )
        expected = slow_stats(flips[i].double().numpy(), every, (8, 10))
        np.testing.assert_allclose(found.flip_disagreement.max[some], expected[:, 2], atol=1e-5)
        values = cut(features[i].numpy(), every, (8, 10))
        means = [np.mean(v, axis=0) for v in values]
        np.testing.assert_allclose(found.features[some], means, atol=1e-4)
        classes = cut(probs[i].argmax(0).numpy(), every, (8, 10))
        present = [[c in v for c in range(CLASSES)] for v in classes]
        np.testing.assert_array_equal(found.presence[some], present)
    assert found.bald is None
    row = 17
    table = {name: int(column[row]) for name, column in found.table.items()}
    assert table == {"image": 1, "top": 8, "left": 10, "height": 8, "width": 10}
    whole = found.image_means(found.entropy.mean)
    np.testing.assert_allclose(whole, scipy.stats.entropy(probs, axis=1).mean((1, 2)), rtol=1e-5)
    means = features.mean(dim=(2, 3))
    np.testing.assert_allclose(found.image_means(found.features), means, atol=1e-5)


def test_bald_of_regions_is_that_of_dropout_passes():
    """BALD maps would be made without dropout."""
    model = network()
    found = score_regions(model, [IMAGES[:2]], (8, 10), maps=["bald"], passes=4, seed=3)
    with mc_dropout(model), torch.no_grad():
        torch.manual_seed(int(np.random.SeedSequence([3, 0]).generate_state(1)[0]))
        value = bald((model(IMAGES[:2]).softmax(1) for _ in range(4)), axis=1)
    expected = slow_stats(value[1].numpy(), np.ones((HEIGHT, WIDTH), dtype=bool), (8, 10))
    np.testing.assert_allclose(found.bald.sum[12:], expected[:, 3], rtol=1e-4)
    assert (found.bald.sum > 0).all()


@pytest.mark.parametrize("by", ["mask", "size"])
def test_padded_images_give_what_the_unpadded_ones_do(by):
    """Padding, which looks uncertain, would be chosen for labeling."""
    sizes = torch.tensor([[22, 37], [16, 20], [9, 37], [1, 1], [22, 30]])
    mask = torch.zeros(5, HEIGHT, WIDTH, dtype=torch.bool)
    for m, (height, width) in zip(mask, sizes, strict=True):
        m[:height, :width] = True
    given = {"mask": mask, "size": sizes}[by]
    model = nn.Conv2d(3, CLASSES, 1)  # sees single pixels, so that padding cannot leak
    batches = [{"image": IMAGES[i : i + 2], by: given[i : i + 2]} for i in (0, 2, 4)]
    ours = score_regions(model, batches, (8, 10))
    alone = [
        score_regions(model, [image[None, :, :height, :width]], (8, 10))
        for image, (height, width) in zip(IMAGES, sizes.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(ours.pixels, np.concatenate([a.pixels for a in alone]))
    np.testing.assert_array_equal(ours.top, np.concatenate([a.top for a in alone]))
    np.testing.assert_allclose(
        ours.entropy.mean, np.concatenate([a.entropy.mean for a in alone]), rtol=1e-5
    )
    np.testing.assert_allclose(ours.histogram, np.concatenate([a.histogram for a in alone]))
    assert ours.pixels.min() > 0
    assert ours.pixels.sum() == sizes.prod(1).sum()


def test_images_of_many_sizes_stand_one_after_the_other():
    """A dataset whose images differ in size could not be scored."""
    images = [torch.rand(1, 3, n, 20) for n in (8, 17, 40)]
    found = score_regions(network(), images, (8, 10))
    np.testing.assert_array_equal(found.image, [0] * 2 + [1] * 6 + [2] * 10)
    assert found.height.sum() * 10 == found.pixels.sum()


@pytest.mark.parametrize("padded", [False, True])
def test_regions_on_disk_are_those_in_memory_and_go_on(padded, tmp_path):
    """A stopped run over regions would start again, or end otherwise."""
    model, sizes = network(), torch.tensor([[22, 37], [9, 11], [22, 37], [5, 30], [22, 20]])
    seen = []

    class Some(torch.utils.data.Dataset):
        def __init__(self, stop):
            self.stop = stop

        def __len__(self):
            return 5

        def __getitem__(self, row):
            seen.append(row)
            if row == self.stop:
                raise OSError("unreadable")
            return {"x": IMAGES[row], **({"size": sizes[row]} if padded else {})}

    options = {"region": (8, 10), "maps": ["bald"], "cells": 2, "features": True, "passes": 2}
    memory = score_regions(model, DataLoader(Some(9)), **options)
    with pytest.raises(OSError, match="unreadable"):
        score_regions(model, DataLoader(Some(3)), out=tmp_path / "r", **options)
    seen.clear()
    disk = score_regions(model, DataLoader(Some(9)), out=tmp_path / "r", **options)
    assert seen == [3, 4]
    again = score_regions(model, DataLoader(Some(0)), out=tmp_path / "r", **options)
    for found in (disk, again):
        for name in ("image", "top", "width", "pixels", "histogram", "features"):
            np.testing.assert_array_equal(getattr(found, name), getattr(memory, name))
        np.testing.assert_array_equal(found.bald.cells, memory.bald.cells)
        np.testing.assert_array_equal(found.entropy.sum, memory.entropy.sum)
    with pytest.raises(ValueError, match=r"begun with another region \(\[8, 10\], now \[4, 10\]"):
        score_regions(
            model, DataLoader(Some(9)), out=tmp_path / "r", **{**options, "region": (4, 10)}
        )


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (nn.Conv2d(3, 5, 2), {}, r"model: must turn .*; \(2, 5, 21, 36\) came for \(2, 3, 22, 37"),
        (nn.Flatten(), {}, r"model: must turn .*; \(2, 2442\) came"),
        (nn.Conv2d(3, 5, 1), {"maps": ["entropi"]}, r"maps: must be a list of entropy, bald"),
        (nn.Conv2d(3, 5, 1), {"maps": "bald"}, r"maps: must be a list"),
        (nn.Conv2d(3, 5, 1), {"maps": ["bald"]}, r"model: must have a dropout layer"),
        (nn.Conv2d(3, 5, 1), {"apply": "no"}, r'apply: must be "softmax" or "none"'),
        (nn.Conv2d(3, 5, 1), {"apply": "none"}, r"probs: pixel .* \(image 0 of the dataset\)"),
        (nn.Conv2d(3, 5, 1), {"out": "x"}, r"out: needs a loader whose number of rows is known"),
    ],
)
def test_networks_and_options_that_do_not_fit_are_refused(model, options, message):
    """Regions of another size than the image's would be stored."""
    with pytest.raises(ValueError, match=message):
        score_regions(model, [IMAGES[:2]], (8, 10), **options)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"mask": torch.ones(2, 3, 3)}, r"loader: mask must have shape \(2, 22, 37\)"),
        ({"size": torch.ones(2)}, r"loader: size must have shape \(2, 2\)"),
    ],
)
def test_padding_that_does_not_fit_is_refused(content, message):
    """Padding would be masked out elsewhere."""
    with pytest.raises(ValueError, match=message):
        score_regions(network(), [{"x": IMAGES[:2], **content}], (8, 10))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_what_the_cpu_gives():
    """Regions of the GPU would differ."""
    options = {"region": (8, 10), "cells": 2, "features": True, "maps": ["flip_disagreement"]}
    data = DataLoader(TensorDataset(IMAGES), batch_size=2)
    ours = score_regions(network(), data, device="cuda", amp="off", **options)
    theirs = score_regions(network(), data, **options)
    np.testing.assert_allclose(ours.entropy.cells, theirs.entropy.cells, atol=1e-3)
    np.testing.assert_allclose(ours.features, theirs.features, atol=1e-3)
    np.testing.assert_allclose(ours.histogram, theirs.histogram, atol=0.02)
