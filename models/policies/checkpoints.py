"""Training that a killed process goes on with: all it needs, in one file, whole or not there.

Networks, optimizers, memories and random states say what they are in dictionaries
(``state_dict()``); a checkpoint is a dictionary of those. What is loaded is what was saved, bit by
bit, so that a run that was interrupted ends where an unbroken one does.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ._files import replacing

if TYPE_CHECKING:
    from numpy.random import Generator

_FORMAT = 1


def save_checkpoint(path: Path, state: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Write a checkpoint in the place of the one before.

    Parameters
    ----------
    path
        A file in a folder that exists.
    state
        Nested dictionaries and lists of tensors, NumPy arrays and generators, numbers, strings,
        None.
    options
        What a run that goes on must have in common with this one: JSON values.
    """
    content = {
        "labelcut_checkpoint": _FORMAT,
        "options": json.dumps(options, sort_keys=True),
        "state": _packed(state),
    }
    with replacing(path) as temporary:
        torch.save(content, temporary)


def load_checkpoint(path: Path, options: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """Read a checkpoint, or return None where there is none. Nothing is unpickled.

    Parameters
    ----------
    path
        What `save_checkpoint` wrote.
    options
        Those of the run that goes on; None takes a checkpoint of any.

    Returns
    -------
    dict or None
        The state; NumPy arrays are arrays again, generators are their states, see
        `generator_from`.

    Raises
    ------
    ValueError
        If the file is none of ours, damaged, or was begun with other options.
    """
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        version, told = content["labelcut_checkpoint"], json.loads(content["options"])
    except Exception as error:  # torch raises many kinds over damaged files
        raise ValueError(
            f"{path}: must be a checkpoint; it cannot be read ({type(error).__name__}); delete it "
            "to train anew"
        ) from None
    if version != _FORMAT:
        raise ValueError(f"{path}: is a checkpoint of format {version}, not {_FORMAT}; delete it")
    now = told if options is None else json.loads(json.dumps(options))
    for name in sorted({*told, *now}):
        if told.get(name) != now.get(name):
            raise ValueError(
                f"{path}: was begun with another {name} ({told.get(name)!r}, now "
                f"{now.get(name)!r}); train into another folder, or delete it to train anew"
            )
    state: dict[str, Any] = _unpacked(content["state"])
    return state


def generator_from(state: Mapping[str, Any]) -> "Generator":
    """Return a NumPy generator in the state that a checkpoint holds."""
    rng = np.random.default_rng()
    rng.bit_generator.state = state
    return rng


def _packed(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.get("bit_generator"):
            return {"__random__": json.dumps(value)}  # integers of 128 bits
        return {key: _packed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(item) for item in value]
    if isinstance(value, np.ndarray):
        return {"__array__": torch.from_numpy(np.ascontiguousarray(value))}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.random.Generator):
        return _packed(value.bit_generator.state)
    return value


def _unpacked(value: Any) -> Any:
    if isinstance(value, dict):
        if "__random__" in value:
            return json.loads(value["__random__"])
        if "__array__" in value:
            return value["__array__"].numpy()
        return {key: _unpacked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unpacked(item) for item in value]
    return value
