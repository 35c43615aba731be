"""Policy files: what to train a policy on, and what to apply it to, in TOML.

    labelcut = 1
    [policy]
    kind = "misical"        # or "ralis"
    [data]
    features = "features.npy"
    [training]
    seed = 0
    [batch]                 # the problem that apply writes
    budget = 100

Each kind states its keys (`PolicyKind`); unknown keys are errors with a suggestion. Paths are
relative to the file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...problems.array_files import read_array, require_known
from ...problems.errors import InvalidInput
from ...problems.problem_files import read_toml, require_format, require_types, toml_table

if TYPE_CHECKING:
    from ...models.policies import Policy
    from ...problems import SelectionProblem

Types = Mapping[str, tuple[type, ...]]
Tell = Callable[[str], None]

KINDS: Mapping[str, str] = {"misical": "misical_files", "ralis": "ralis_files"}
"""Modules beside this one that have a `PolicyKind` named ``KIND``."""


@dataclass(frozen=True)
class PolicyKind:
    """What one kind of policy file may hold, and what its commands do.

    Parameters
    ----------
    data, training, batch
        Types that each key of these tables may have.
    needed
        Keys of ``[data]`` that must be there.
    train
        Trains what a file asks for into a folder and returns facts to print, by name. It goes on
        where a run before it was stopped, and tells how far it is.
    apply
        Makes the problem whose utility is the policy's value of each candidate.
    """

    data: Types
    training: Types
    batch: Types
    needed: tuple[str, ...]
    train: Callable[["PolicyFile", Path, Tell], Mapping[str, Any]]
    apply: Callable[["PolicyFile", "Policy"], "SelectionProblem"]


@dataclass(frozen=True, eq=False)
class PolicyFile:
    """What a policy file says.

    Parameters
    ----------
    path
        The file.
    kind
        ``"misical"`` or ``"ralis"``.
    data, training, batch
        Its tables, checked for unknown keys and wrong types.
    """

    path: Path
    kind: str
    data: Mapping[str, Any]
    training: Mapping[str, Any]
    batch: Mapping[str, Any]

    def array(self, name: str, *, text: bool = False) -> Any:
        """Return an array that ``[data]`` names, or None where it does not."""
        if name not in self.data:
            return None
        return read_array(self.data[name], self.path.parent, name, text=text)

    def table(self) -> dict[str, Any]:
        """Return the columns of ``[data] table``, which lead from a row to what it is."""
        columns = toml_table(self.data, "table", needed=False)
        return {
            name: read_array(source, self.path.parent, name) for name, source in columns.items()
        }


def policy_kind(kind: str) -> PolicyKind:
    """Return what a kind of policy file may hold and what is done with it."""
    found: PolicyKind = import_module(f".{KINDS[kind]}", __package__).KIND
    return found


def read_policy_file(path: str | Path) -> PolicyFile:
    """Read a policy file.

    Raises
    ------
    InvalidInput
        One message that names the file, the key, the rule, what came and the way out.
    """
    path = Path(path)
    content = read_toml(path, "policy file")
    try:
        return _read(path, content)
    except InvalidInput as error:
        raise InvalidInput(f"{path.name}: {error}") from None


def _read(path: Path, content: Mapping[str, Any]) -> PolicyFile:
    require_format(content)
    require_known(content, {"labelcut", "policy", "data", "training", "batch"}, "top level")
    stated = toml_table(content, "policy")
    require_types(stated, {"kind": (str,)}, "[policy]")
    name = stated.get("kind")
    if not (isinstance(name, str) and name in KINDS):
        raise InvalidInput(f"[policy] kind: must be one of {', '.join(KINDS)}; got {name!r}")
    kind = policy_kind(name)
    tables = {
        "data": toml_table(content, "data"),
        "training": toml_table(content, "training", needed=False),
        "batch": toml_table(content, "batch", needed=False),
    }
    for table, found in tables.items():
        require_types(found, getattr(kind, table), f"[{table}]")
    missing = [key for key in kind.needed if key not in tables["data"]]
    if missing:
        raise InvalidInput(f"[data] {missing[0]}: is missing; name its array file")
    return PolicyFile(path, name, **tables)
