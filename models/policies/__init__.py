"""Learned acquisition: networks that value candidates, and what trains them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .checkpoints import load_checkpoint, save_checkpoint
    from .replay import Replay, annealed
    from .saving import Policy, load_policy, save_policy
    from .targets import double_dqn_targets, n_step_returns, soft_update

_NAMES = {
    "checkpoints": ("load_checkpoint", "save_checkpoint"),
    "replay": ("Replay", "annealed"),
    "saving": ("Policy", "load_policy", "save_policy"),
    "targets": ("double_dqn_targets", "n_step_returns", "soft_update"),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "Policy",
    "Replay",
    "annealed",
    "double_dqn_targets",
    "load_checkpoint",
    "load_policy",
    "n_step_returns",
    "save_checkpoint",
    "save_policy",
    "soft_update",
]


def __getattr__(name: str) -> Any:
    """Import the module a public name lives in when the name is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
