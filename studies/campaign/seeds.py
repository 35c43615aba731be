"""Seeds of everything random in a campaign, each from what it is for."""

from __future__ import annotations

import hashlib
import json


def derive_seed(*parts: str | int) -> int:
    """Return a 32-bit seed that depends on all parts, and on nothing else.

    Examples
    --------
    >>> derive_seed(0, 3, "train") == derive_seed(0, 3, "train") != derive_seed(0, 4, "train")
    True
    """
    hashed = hashlib.blake2b(json.dumps(parts).encode(), digest_size=4)
    return int.from_bytes(hashed.digest(), "big")
