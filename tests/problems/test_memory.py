"""How much memory is free, and the refusal of what would not fit."""

from pathlib import Path

import pytest

from labelcut import NotEnoughMemory
from labelcut.problems import memory


def test_free_memory_is_what_the_system_says():
    """Forecasts would be held against a made-up figure."""
    free = memory.free_bytes()
    if free is None:
        pytest.skip("this system does not tell")
    assert 0 < free < 1 << 50


def test_a_container_limit_counts(monkeypatch, tmp_path):
    """In a container the machine's free memory is not ours, and the kernel would kill the run."""
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("3000\n")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    assert memory.free_bytes() == 2000


@pytest.mark.parametrize("limit", ["max\n", ""])
def test_no_container_limit_is_no_limit(monkeypatch, tmp_path, limit):
    """Nothing could be solved in a container without a limit."""
    (tmp_path / "memory.max").write_text(limit)
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory, "_system_free", lambda: 77)
    assert memory.free_bytes() == 77


def test_a_system_that_does_not_tell_refuses_nothing(monkeypatch):
    """On a system without these figures no problem could be solved."""
    monkeypatch.setattr(memory, "CGROUP", Path("no such folder"))
    monkeypatch.setattr(memory, "_system_free", lambda: None)
    memory.require_memory(1 << 60, "method 'exact'", "take 'greedy'")


def test_refusal_names_figures_and_the_way_out(monkeypatch):
    """A user would know that it does not fit, not by how much or what to do."""
    monkeypatch.setattr(memory, "free_bytes", lambda: 2_000_000_000)
    memory.require_memory(2_000_000_000, "method 'exact'", "take 'greedy'")
    message = "method 'exact': needs about 3.5 GB, 2.0 GB are free; take 'greedy'"
    with pytest.raises(NotEnoughMemory, match=message):
        memory.require_memory(3_500_000_000, "method 'exact'", "take 'greedy'")
