"""How much memory is free, and the refusal of what would not fit."""

import os
from pathlib import Path

from .errors import NotEnoughMemory

CGROUP = Path("/sys/fs/cgroup")


def free_bytes() -> int | None:
    """Return the bytes a process may still take, or None where the system does not tell."""
    found = [value for value in (_system_free(), _cgroup_free()) if value is not None]
    return min(found, default=None)


def require_memory(forecast: int, what: str, remedy: str) -> None:
    """Raise `NotEnoughMemory` with the figure and the alternative if a forecast does not fit."""
    free = free_bytes()
    if free is not None and forecast > free:
        raise NotEnoughMemory(
            f"{what}: needs about {forecast / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; {remedy}"
        )


def _system_free() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def _cgroup_free() -> int | None:
    try:
        limit = int((CGROUP / "memory.max").read_text())
        return max(limit - int((CGROUP / "memory.current").read_text()), 0)
    except (OSError, ValueError):
        return None
