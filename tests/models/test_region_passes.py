"""The compiled pass over maps on the CPU, in every precision, against slow float64."""

import numpy as np
import pytest
import torch

from labelcut.models import regions
from labelcut.models._region_passes import in_one_pass
from labelcut.models.regions import region_blocks

CLASSES, HEIGHT, WIDTH = 7, 5, 1031
"""Runs of pixels end in the middle of rows, and rows in the middle of runs."""
REGION = (3, 100)


def logits_map(seed=0):
    """Draw logits, among them sure pixels, ties and classes that cannot be."""
    rng = np.random.default_rng(seed)
    x = rng.normal(scale=rng.choice([0.1, 3.0, 30.0], (1, HEIGHT, WIDTH)), size=(7, HEIGHT, WIDTH))
    x[:, 1, 5:9] = 2.5
    x[3, 2, :] = -np.inf
    x[:, 4, 1000:] = np.array([-1e4, 0, 0, -200, -90, -80, 1e3])[:, None]
    return torch.from_numpy(x)


def slow(scores, softmax, mask):
    """Compute entropy (minimum, mean, maximum, sum) and class shares region by region."""
    x = scores.double().numpy()
    if softmax:
        x = np.exp(x - x.max(axis=0))
        x /= x.sum(axis=0)
    entropies = -(x * np.log(np.where(x > 0, x, 1))).sum(axis=0)
    predicted = scores.double().numpy().argmax(axis=0)
    stats, shares = [], []
    for top in range(0, HEIGHT, REGION[0]):
        for left in range(0, WIDTH, REGION[1]):
            at = slice(top, top + REGION[0]), slice(left, left + REGION[1])
            values, inside = entropies[at][mask[at]], predicted[at][mask[at]]
            n = max(len(values), 1)
            ends = (values.min(), values.sum() / n, values.max()) if len(values) else (0, 0, 0)
            stats.append([*ends, values.sum()])
            shares.append(np.bincount(inside, minlength=CLASSES) / n)
    return np.array(stats), np.array(shares)


@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("masked", [False, True])
def test_every_precision_is_that_of_its_numbers(dtype, softmax, masked):
    """A logarithm would be wrong for some exponents, or runs would mix pixels."""
    x = logits_map()
    scores = (x if softmax else x.softmax(0)).to(dtype)
    mask = (
        np.random.default_rng(1).random((HEIGHT, WIDTH)) < 0.6
        if masked
        else np.ones((HEIGHT, WIDTH), dtype=bool)
    )
    mask[3:, 200:300] &= not masked  # a region of nothing but padding
    given = torch.from_numpy(mask) if masked else None
    assert in_one_pass(scores, softmax, given, REGION, None) is not None
    blocks = region_blocks(scores, REGION, softmax=softmax, mask=given)
    stats, shares = slow(scores, softmax, mask)
    np.testing.assert_allclose(blocks["entropy"][:, :3], stats[:, :3], atol=1e-6, rtol=1e-6)
    np.testing.assert_allclose(blocks["entropy"][:, 3], stats[:, 3], rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(blocks["histogram"], shares, atol=1e-6)


def test_every_half_precision_probability_has_its_entropy():
    """Some of the 15,361 numbers from 0 to 1, subnormal ones too, would be read wrongly."""
    p = torch.arange(0x3C00 + 1, dtype=torch.int16).view(torch.float16)
    scores = torch.stack([p, 1 - p])[:, None]
    found = region_blocks(scores, (1, 1), softmax=False)["entropy"][:, 0]
    x = scores[:, 0].double().numpy()
    expected = -(x * np.log(np.where(x > 0, x, 1))).sum(axis=0)
    np.testing.assert_allclose(found, expected, atol=2e-7)
    assert found[0] == found[-1] == 0


@pytest.mark.parametrize("softmax", [False, True])
def test_results_do_not_depend_on_threads(softmax):
    """A folder begun on one machine would go on otherwise on another."""
    x = logits_map().float()
    scores = x if softmax else x.softmax(0)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3, 8):
            torch.set_num_threads(threads)
            found.append(in_one_pass(scores, softmax, None, (2, 100), 2))
    finally:
        torch.set_num_threads(before)
    for tiles, histogram in found[1:]:
        assert torch.equal(tiles, found[0][0])
        assert torch.equal(histogram, found[0][1])


def test_no_mask_is_one_of_everything():
    """Where nothing is padding, cells cut off at the border would have another mean."""
    scores = logits_map().float()
    every = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    plain, other = (
        region_blocks(scores, (4, 100), softmax=True, mask=mask, cells=4) for mask in (None, every)
    )
    assert all(torch.equal(plain[name], other[name]) for name in plain)


def test_maps_may_lie_in_memory_in_any_way():
    """Channels-last networks would have other regions."""
    scores = logits_map().float().softmax(0)
    last = scores.permute(1, 2, 0).contiguous().permute(2, 0, 1).requires_grad_()
    plain, other = (region_blocks(s, REGION, softmax=False) for s in (scores, last))
    assert all(torch.equal(plain[name], other[name]) for name in plain)


@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("pixel", [(0, 0), (4, 1030), (2, 517)])
def test_one_wrong_pixel_is_found(softmax, dtype, value, pixel):
    """Numbers that are none would vanish in minima and maxima."""
    x = logits_map()
    x[0, 3, 20] = -np.inf  # a class that cannot be is nothing wrong
    scores = (x if softmax else x.softmax(0)).to(dtype)
    scores[2, pixel[0], pixel[1]] = value
    with pytest.raises(ValueError, match=rf"pixel \({pixel[0]}, {pixel[1]}\)"):
        region_blocks(scores, REGION, softmax=softmax)


@pytest.mark.parametrize("softmax", [False, True])
def test_wrong_pixels_are_named_while_training_and_beyond_single_precision(softmax):
    """The message would give way to one about torch's own functions."""
    scores = torch.full((3, 2, 4), 1 / 3, dtype=torch.float64)
    scores[0, 1, 2] = 1e39
    with pytest.raises(ValueError, match=r"pixel \(1, 2\)"):
        region_blocks(scores.requires_grad_(), (2, 4), softmax=softmax)


@pytest.mark.filterwarnings("error")
def test_regions_may_be_given_as_a_list():
    """A region read from JSON would warn of what the compiler takes."""
    scores = logits_map().float()
    listed = region_blocks(scores, list(REGION), softmax=True)
    assert torch.equal(listed["entropy"], region_blocks(scores, REGION, softmax=True)["entropy"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_negative_probabilities_are_found_and_negative_zeros_taken(dtype):
    """Sums of 1 would hide numbers below 0; and -0.0, which is no such number, would be refused."""
    scores = torch.full((3, 2, 40), 0.5, dtype=dtype)
    scores[0] = -0.0
    found = region_blocks(scores, (2, 40), softmax=False)
    assert found["entropy"][0].tolist() == pytest.approx([np.log(2)] * 3 + [80 * np.log(2)])
    assert found["histogram"].tolist() == [[0, 1, 0]]
    scores[:, 1, 7] = torch.tensor([-0.25, 0.75, 0.5])
    with pytest.raises(ValueError, match=r"pixel \(1, 7\) sums to 1 with a least of -0.25"):
        region_blocks(scores, (2, 40), softmax=False)


def test_both_ways_agree(monkeypatch):
    """The same map would score otherwise on a GPU."""
    scores = logits_map().float()
    ours = region_blocks(scores, REGION, softmax=True)
    monkeypatch.setattr(regions, "in_one_pass", lambda *_: None)
    theirs = region_blocks(scores, REGION, softmax=True)
    np.testing.assert_allclose(ours["entropy"], theirs["entropy"], rtol=1e-6, atol=1e-5)
    np.testing.assert_array_equal(ours["histogram"], theirs["histogram"])
