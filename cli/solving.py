"""Commands that solve a problem, check an answer, or hand the problem to another solver."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .app import File, GapTol, Json, SolutionFile, TimeLimit, app
from .printing import fail, is_video, open_console, parsed, print_json, read
from .video import read_video, solve_video


@app.command()
def solve(
    file: File,
    method: Annotated[str | None, typer.Option(help="Method; show lists them. [auto]")] = None,
    time_limit: TimeLimit = None,
    gap_tol: GapTol = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random. [0]")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="The method's own option; repeatable."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="SOLUTION", help="Solution file. [FILE with .selection.json]"),
    ] = None,
    draw: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Video only: draw the chosen frames into this folder."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Choose the rows to label next and save them with their certificate."""
    from ..problems import Status, StoppedBy
    from ..problems.atomic import require_writable
    from ..problems.solution_files import solution_to_dict
    from ..solvers import solve as run
    from ..studies.tables import solution_table

    asked = {"method": method, "time_limit": time_limit, "gap_tol": gap_tol, "seed": seed}
    if is_video(file):
        solve_video(file, asked, parsed(option or []), out, draw, as_json)
        return
    if draw is not None:
        fail("error: --draw: is for video problems; see compare --plot and show --plot", 2)
    problem, content = read(file)
    out = out or file.with_suffix(".selection.json")
    require_writable(out)
    if out.exists() and out.samefile(file):
        fail(f"error: --out: {out} is the problem file; name another file", 2)
    arguments = {**content.solve, **{k: v for k, v in asked.items() if v is not None}}
    if arguments.get("method") != content.solve.get("method", arguments.get("method")):
        arguments.pop("options", None)  # they are the file's own method's
    if option:
        arguments["options"] = {**arguments.get("options", {}), **parsed(option)}
    try:
        solution = run(problem, **arguments, progress=sys.stderr.isatty())
    except KeyboardInterrupt:
        fail("interrupted before there was an answer; nothing is saved", 130)
    solution.save(out)
    if as_json:
        print_json("solution", str(out), solution_to_dict(solution))
    else:
        console = open_console()
        console.print(solution_table(problem, solution, content.truth))
        console.print(f"saved in {out}")
    if solution.stopped_by is StoppedBy.INTERRUPT:
        raise typer.Exit(130)
    codes = {Status.INFEASIBLE: 1, Status.UNKNOWN: 3}
    raise typer.Exit(codes.get(solution.status, 0))


@app.command()
def check(file: File, solution: SolutionFile, as_json: Json = False) -> None:
    """Re-verify somebody's solution: feasibility, objective and bound, without solving."""
    from ..problems import Status, load_solution
    from ..problems import check as verify

    answer = load_solution(solution)
    report = verify(read_video(file)[0] if is_video(file) else read(file)[0], answer)
    if as_json:
        print_json("check", None, vars(report))
        return
    console = open_console()
    if report.objective is None:
        claimed = "infeasible, as claimed"
        if not report.status_rechecked:
            claimed = "infeasible, so it is claimed: not re-checkable, and nothing found refutes it"
        infeasible = answer.status is Status.INFEASIBLE
        console.print(claimed if infeasible else "no answer, so nothing to check")
        return
    console.print(f"{report.rows:,} rows are feasible, objective {report.objective:.6g} is right")
    if report.bound is None:
        console.print("no bound was claimed")
    elif report.bound_rechecked:
        console.print(f"bound {report.bound:.6g} is proven by the certificate")
    else:
        console.print(f"bound {report.bound:.6g} came from branch and bound: not re-checkable")
        if report.proven is not None:
            console.print(f"the certificate by itself proves {report.proven:.6g}")
    if not report.status_rechecked:
        console.print("optimal, so it is claimed: the certificate by itself does not prove it")


@app.command()
def export(
    file: File,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model file (.mps).")],
    as_json: Json = False,
) -> None:
    """Write the binary program as MPS, for any other solver."""
    from ..solvers import export_model

    size = export_model(read(file)[0], model)
    if as_json:
        print_json("export", str(model), {"bytes": size})
    else:
        open_console().print(f"saved in {model} ({size / 1e6:,.1f} MB); variable z<i> is row i")
