"""What the papers measured, row by row, as far as advice rests on it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """One published finding.

    Parameters
    ----------
    source
        Paper and table or section.
    setting
        On what data and budget.
    finding
        What came out.
    """

    source: str
    setting: str
    finding: str

    def __str__(self) -> str:
        """Return it in a line."""
        return f"{self.source}, {self.setting}: {self.finding}"


_GUIDE = "002 Table 6"
EVIDENCE = {
    "guide-redundant": Evidence(
        _GUIDE, "redundant pools", "batch-based at low and high budgets, with and without SSL"
    ),
    "guide-diverse-high": Evidence(_GUIDE, "diverse pools, high budgets", "single-sample"),
    "guide-diverse-low": Evidence(_GUIDE, "diverse pools, low budgets", "random"),
    "redundant-high": Evidence(
        "002 Table 4",
        "A2D2 pools, 10-10, AUC@50",
        "random / entropy / coreset: Pool-5f 18.69 / 19.48 / 19.44, Pool-11f 17.76 / 18.52 / "
        "18.69, Pool-21f 17.67 / 18.21 / 18.38, Pool-Aug 17.15 / 17.33 / 17.54",
    ),
    "redundant-low": Evidence(
        "002 Table 8",
        "A2D2 Pool-11f, 2-2, AUC@10",
        "random 2.93, entropy 2.92, EqualAL 2.97, coreset 3.10",
    ),
    "video": Evidence(
        "002 Table 5",
        "A2D2-3K, mIoU@7.5",
        "uniform in time 57.75, random 56.14, entropy 60.16, coreset 60.30, "
        "uniform(@5)+entropy 60.40",
    ),
    "diverse-high": Evidence(
        "002 Table 2",
        "Cityscapes and A2D2 Pool-0f, 10-10, AUC@50",
        "random 23.29 and 19.20, coreset 23.89 and 19.88, entropy 24.25 and 20.37",
    ),
    "diverse-low-broad": Evidence(
        "002 Table 7",
        "PASCAL-VOC, 2-2, AUC@10",
        "random 5.22, coreset 5.19, EqualAL 5.13, entropy 5.11",
    ),
    "diverse-low-narrow": Evidence(
        "002 Tables 8 and 9",
        "A2D2 Pool-0f and Cityscapes, 2-2, AUC@10",
        "entropy 3.18 and 4.00, coreset 3.12 and 3.74, random 2.92 and 3.65",
    ),
    "few-classes": Evidence(
        "003 section 5.5",
        "CIFAR-10",
        "choosing beats random from 1 % labeled with self-supervised features, from 10 % from "
        "scratch",
    ),
    "many-classes": Evidence(
        "003 section 5.5", "CIFAR-100", "random leads below 10 % labeled, however models begin"
    ),
    "most-classes": Evidence(
        "003 section 5.5",
        "Tiny ImageNet",
        "random leads with self-supervised features; from scratch choosing pays above 10 %",
    ),
    "balance": Evidence(
        "003 Tables 4.1 and 4.2",
        "imbalance factor 0.1, points of accuracy over four cycles",
        "class balance adds to entropy 0.27 to 0.86 (CIFAR-10) and 1.28 to 2.23 (CIFAR-100), to "
        "k-center 0.44 to 0.84 and 0.92 to 1.04",
    ),
    "small-tau": Evidence(
        "004 Table 3",
        "Cityscapes regions of 128 pixels (redundant), mIoU of batch 4",
        "UWE with τ = 0.1 74.40, coreset 74.28, UWE with τ = 1 73.40, entropy 71.38",
    ),
    "tau": Evidence(
        "004 Table 3",
        "Cityscapes regions of 256 pixels, mIoU of batch 4",
        "UWE 73.72, coreset 72.86, entropy 72.67, random 68.70",
    ),
}
"""Findings by name."""
