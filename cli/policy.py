"""Commands that train a policy and apply it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .app import Json, app
from .printing import fail, open_console, print_json

commands = typer.Typer(
    help="Learn where to look from what is labeled already.", no_args_is_help=True
)
app.add_typer(commands, name="policy")

PolicyFile = Annotated[Path, typer.Argument(metavar="FILE", help="Policy file (TOML).")]


@commands.command()
def train(
    file: PolicyFile,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder of the policy. [FILE with .policy]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a policy; a run that was stopped goes on."""
    from ..studies.policies.files import policy_kind, read_policy_file

    content = read_policy_file(file)
    folder = out or file.with_suffix(".policy")
    if folder.exists() and not folder.is_dir():
        fail(f"error: --out: {folder} is a file; name a folder", 2)
    if not folder.parent.is_dir():
        fail(f"error: --out: {folder.parent} is no folder; make it or write somewhere else", 2)
    console = open_console()
    try:
        facts = policy_kind(content.kind).train(content, folder, console.print)
    except ValueError as error:
        fail(f"error: {error}", 2)
    except KeyboardInterrupt:
        fail(f"interrupted; the same command goes on with what is in {folder}", 130)
    if as_json:
        print_json("policy", str(folder), dict(facts))
        return
    told = ", ".join(f"{name} {value}" for name, value in facts.items())
    console.print(f"{content.kind}: {told}")
    console.print(f"saved in {folder}")


@commands.command()
def apply(
    file: PolicyFile,
    policy: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder that train wrote; of other data too.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="PROBLEM", help="Problem file. [FILE with .problem.toml]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the problem of choosing a batch by a policy's values Q."""
    from ..models.policies import load_policy
    from ..problems.problem_files import save_problem
    from ..studies.policies.files import policy_kind, read_policy_file

    content = read_policy_file(file)
    path = out or file.with_suffix(".problem.toml")
    if path.exists() and path.samefile(file):
        fail(f"error: --out: {path} is the policy file; name another file", 2)
    try:
        problem = policy_kind(content.kind).apply(content, load_policy(policy))
    except ValueError as error:
        fail(f"error: {error}", 2)
    save_problem(problem, path)
    if as_json:
        facts = {"problem": problem.kind, "budget": problem.budget, "rows": problem.dataset.size}
        print_json("policy", str(path), {**facts, "fingerprint": problem.fingerprint})
        return
    console = open_console()
    console.print(repr(problem))
    console.print(f"saved in {path}")
    console.print(f"next: labelcut solve {path}")
