"""Divergences between class histograms against scipy, in blocks of every size."""

import math

import numpy as np
import pytest
import scipy.stats

from labelcut.models import class_histogram, divergence_histograms, histograms


def drawn(rows, seed=0, classes=5):
    """Draw class shares, many of them 0 as in regions."""
    counts = np.random.default_rng(seed).multinomial(6, np.full(classes, 1 / classes), rows)
    return counts / 6


@pytest.mark.parametrize("block", [1, 7, 40, 1 << 20])
def test_bins_hold_the_divergences_of_scipy(block, monkeypatch):
    """The direction would be the other one, or blocks be counted twice or not at all."""
    monkeypatch.setattr(histograms, "_BLOCK", block)
    p, r, smoothing, bins = drawn(9), drawn(14, 1), 0.02, 6
    found = divergence_histograms(p, r, bins=bins, smoothing=smoothing)
    q, s = p + smoothing, r + smoothing  # scipy normalizes both
    largest = math.log((1 + smoothing) / smoothing) / (1 + 5 * smoothing)
    for i in range(9):
        values = [scipy.stats.entropy(q[i], s[k]) for k in range(14)]
        counts, _ = np.histogram(values, bins, (0, largest))
        np.testing.assert_allclose(found[i], counts / 14, atol=1e-6)


def test_the_bins_reach_from_equal_to_opposed():
    """The last bins would stay empty, or large divergences be pressed into one."""
    found = divergence_histograms(np.eye(3), np.eye(3), bins=50)
    np.testing.assert_allclose(found[:, 0], 1 / 3, atol=1e-6)
    np.testing.assert_allclose(found[:, -1], 2 / 3, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.eye(3), np.eye(4)), r"others: must have the same classes as histograms; 4 came for 3"),
        ((np.eye(3), np.empty((0, 3))), r"others: must hold at least one region"),
        ((np.eye(3) * 2, np.eye(3)), r"histograms: rows must be shares .*; row 0 sums to 2"),
        ((np.eye(3), np.zeros((2, 3))), r"others: rows must be shares .*; row 0 sums to 0"),
        ((np.ones(3), np.eye(3)), r"histograms: must have shape \(R, C\); \(3,\) came"),
    ],
)
def test_what_are_no_histograms_is_refused(arguments, message):
    """Counts would be compared with shares."""
    with pytest.raises(ValueError, match=message):
        divergence_histograms(*arguments)
    with pytest.raises(ValueError, match=r"bins, smoothing: must be at least 1 and above 0"):
        divergence_histograms(np.eye(3), np.eye(3), smoothing=0.0)


def test_true_classes_are_counted_without_void():
    """Void pixels would be a class, or shares not sum to 1."""
    labels = np.array([[[0, 1], [1, 255]], [[-1, 255], [-1, 9]]])
    np.testing.assert_allclose(class_histogram(labels, 2), [[1 / 3, 2 / 3], [0, 0]], atol=1e-6)
