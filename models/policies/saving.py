"""Policies on disk: ``policy.json``, which says what it is, and ``weights.safetensors``."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ._files import replacing

RECORD, WEIGHTS = "policy.json", "weights.safetensors"
_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Policy:
    """A trained policy: weights, and what they are for.

    Attributes
    ----------
    kind
        ``"misical"`` or ``"ralis"``.
    features
        What each input of the network is, by name, in order.
    classes
        How many classes the segmentation network tells apart.
    settings
        Hyperparameters and structure of the network: JSON values.
    weights
        The network's ``state_dict()``.
    """

    kind: str
    features: Sequence[str]
    classes: int
    settings: Mapping[str, Any]
    weights: Mapping[str, Tensor] = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """A hash of all of it: two policies of one fingerprint choose the same."""
        hashed = hashlib.blake2b(digest_size=16)
        hashed.update(json.dumps(self._record(), sort_keys=True).encode())
        for name in sorted(self.weights):
            value = self.weights[name].detach().cpu().contiguous()
            hashed.update(f"{name}\0{value.dtype}{tuple(value.shape)}\0".encode())
            hashed.update(value.reshape(-1).numpy().tobytes())
        return hashed.hexdigest()

    def require(self, kind: str, features: Sequence[str], classes: int) -> None:
        """Raise a ValueError unless the policy is for these features and classes."""
        if self.kind != kind:
            raise ValueError(f"policy: must be of kind {kind}; this is {self.kind}; train one")
        if self.classes != classes:
            raise ValueError(
                f"policy: was trained for {self.classes} classes, the data have {classes}; train "
                "one for this number of classes"
            )
        if list(self.features) != list(features):
            pairs = zip([*self.features, "nothing"], [*features, "nothing"], strict=False)
            at, (had, came) = next((i, pair) for i, pair in enumerate(pairs) if pair[0] != pair[1])
            raise ValueError(
                f"policy: was trained for {len(self.features)} features, {len(features)} came; "
                f"feature {at} is {had}, now {came}; compute them as in training, or train anew"
            )

    def _record(self) -> dict[str, Any]:
        return {
            "labelcut_policy": _FORMAT,
            "kind": self.kind,
            "classes": self.classes,
            "features": list(self.features),
            "settings": dict(self.settings),
        }


def save_policy(policy: Policy, folder: str | Path) -> Path:
    """Write a policy into a folder, which is made, and return that."""
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().cpu().contiguous() for name, value in policy.weights.items()}
    record = {**policy._record(), "fingerprint": policy.fingerprint}
    with replacing(folder / WEIGHTS) as temporary:
        save_file(weights, temporary)
    with replacing(folder / RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return folder


def load_policy(folder: str | Path) -> Policy:
    """Read a policy that `save_policy` wrote.

    Raises
    ------
    ValueError
        If the folder holds none, or its two files do not belong together.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(folder)
    for name in (RECORD, WEIGHTS):
        if not (folder / name).is_file():
            raise ValueError(
                f"{folder}: must be the folder of a policy; it has no {name}; train one there"
            )
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS)
        policy = Policy(
            record["kind"],
            record["features"],
            record["classes"],
            record["settings"],
            weights,
        )
        told = record["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ValueError(
            f"{folder}: must be the folder of a policy; it cannot be read ({error}); train anew"
        ) from None
    if policy.fingerprint != told:
        raise ValueError(
            f"{folder}: {RECORD} and {WEIGHTS} must belong together; their fingerprint is another; "
            "train anew, or copy both files"
        )
    return policy
