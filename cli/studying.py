"""Commands that show a problem, compare methods on it, or trace what it trades off."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .app import File, GapTol, Json, Plot, TimeLimit, app
from .printing import fail, is_video, open_console, print_json, read
from .video import compare_video, show_video


@app.command()
def compare(
    file: File,
    method: Annotated[
        list[str] | None, typer.Option(help="Method; repeatable. [all that apply]")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0, 1, … for methods that draw.")] = 1,
    time_limit: TimeLimit = None,
    gap_tol: GapTol = None,
    plot: Plot = None,
    as_json: Json = False,
) -> None:
    """Run methods side by side, each in its own process, against the best proven bound."""
    if is_video(file):
        if plot is not None:
            fail("error: --plot: is for selection problems; solve --draw draws chosen frames", 2)
        compare_video(file, method, seeds, time_limit, as_json)
        return
    from ..problems import Status
    from ..studies import compare as run
    from ..studies import plot_choices
    from ..studies.pictures import require_picture
    from ..studies.tables import comparison_notes, comparison_table, programs_table
    from ..studies.true_balance_pictures import can_plot_programs, plot_programs

    problem, content = read(file)
    if plot is not None:
        require_picture(plot)
    asked = {"time_limit": time_limit, "gap_tol": gap_tol}
    limits = {k: content.solve[k] for k in (*asked, "abs_gap_tol") if k in content.solve}
    limits |= {k: v for k, v in asked.items() if v is not None}
    console = open_console()
    try:
        with console.status("starting") as status:
            comparison = run(
                problem,
                method,
                range(seeds),
                truth=content.truth,
                progress=status.update,
                **limits,
            )
    except KeyboardInterrupt:
        fail("interrupted before the first method had finished", 130)
    choices = {row["method"]: comparison.best(row["method"]) for row in comparison.rows()}
    answers = {name: choice for name, choice in choices.items() if choice is not None}
    if plot is not None and can_plot_programs(comparison):
        plot_programs(comparison, plot)
    elif plot is not None and answers:
        plot_choices(problem, answers, plot, truth=content.truth)
    if as_json:
        print_json("comparison", None, comparison.to_dict())
    else:
        console.print(comparison_table(comparison, file.name))
        for note in comparison_notes(comparison):
            console.print(note)
        programs = programs_table(comparison)
        if programs is not None:
            console.print("", programs, sep="\n")
        if plot is not None:
            console.print(f"picture in {plot}" if answers else "no answer, so no picture")
    if comparison.interrupted:
        raise typer.Exit(130)
    if answers:
        raise typer.Exit(0)
    contradictory = any(row["status"] == Status.INFEASIBLE for row in comparison.rows())
    raise typer.Exit(1 if contradictory else 3)


@app.command()
def show(
    file: File,
    solution: Annotated[
        Path | None, typer.Argument(metavar="[SOLUTION]", help="Solution that solve wrote.")
    ] = None,
    plot: Plot = None,
    as_json: Json = False,
) -> None:
    """Show a problem, what its constraints leave, which methods apply, and a solution."""
    if is_video(file):
        show_video(file, solution, plot, as_json)
        return
    from ..problems import Selection, load_solution
    from ..problems import check as verify
    from ..problems.solution_files import solution_to_dict
    from ..solvers import methods
    from ..studies import plot_choices
    from ..studies.pictures import require_picture
    from ..studies.tables import (
        classes_table,
        constraint_facts,
        methods_table,
        problem_table,
        reliability_table,
        solution_table,
    )
    from ..studies.true_balance import reliabilities
    from ..studies.true_balance_pictures import plot_reliability

    problem, content = read(file)
    curves = reliabilities(problem, content.truth)
    answer = None if solution is None else load_solution(solution)
    if answer is not None:
        verify(problem, answer)
    assert answer is None or isinstance(answer, Selection)  # else it answers another problem
    if plot is not None:
        if answer is None and not curves:
            fail(
                "error: --plot: needs a solution to draw, or labels (data.truth) for a reliability "
                "curve; name a solution after the problem file",
                2,
            )
        require_picture(plot)
        if answer is None:
            plot_reliability(curves, plot)
        else:
            plot_choices(problem, {answer.method: answer}, plot, truth=content.truth)
    balanced = problem.class_balance
    if as_json:
        description = {
            "kind": problem.kind,
            "rows": problem.dataset.size,
            "labeled": len(problem.labeled),
            "candidates": len(problem.candidates),
            "selectable": len(problem.selectable),
            "budget": problem.budget,
            "constraints": constraint_facts(problem),
            **problem.facts(),
            **({} if balanced is None else {"target": balanced.target.tolist()}),
            "notes": dict(problem.notes()),
            "calibration_error": {name: curve.error for name, curve in curves.items()},
            "fingerprint": problem.fingerprint,
            "methods": [vars(info) for info in methods(problem)],
            "solution": None if answer is None else solution_to_dict(answer),
        }
        print_json("problem", None, description)
        return
    console = open_console()
    console.print(problem_table(problem), "")
    if curves:
        console.print(reliability_table(curves), "")
    if answer is None:
        console.print(methods_table(problem))
        if plot is not None:
            console.print("", f"picture in {plot}", sep="\n")
        return
    console.print(solution_table(problem, answer, content.truth))
    if answer.objective is not None and balanced is not None:
        console.print("", classes_table(balanced, answer, content.truth), sep="\n")
    if plot is not None:
        console.print("", f"picture in {plot}", sep="\n")


@app.command()
def frontier(
    file: File,
    balances: Annotated[
        list[float] | None, typer.Option("--lambda", help="A λ; repeatable. [18 values]")
    ] = None,
    time_limit: TimeLimit = None,
    gap_tol: GapTol = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    plot: Plot = None,
    as_json: Json = False,
) -> None:
    """Trade utility against balance over λ, with bounds, and find where the curve bends."""
    from ..studies import frontier as trace
    from ..studies import plot_frontier
    from ..studies.pictures import require_picture
    from ..studies.tables import frontier_table

    problem, _ = read(file)
    if plot is not None:
        require_picture(plot)
    limits = {"time_limit": time_limit, "gap_tol": gap_tol}
    console = open_console()
    try:
        with console.status("tracing the frontier"):
            found = trace(
                problem,
                balances or None,
                seed=seed,
                **{name: value for name, value in limits.items() if value is not None},
            )
            if not found.points:
                fail("time ran out before the first λ was solved; raise --time-limit", 3)
            knee = found.knee()
    except KeyboardInterrupt:
        fail("interrupted before the frontier was there", 130)
    if plot is not None:
        plot_frontier(found, plot, knee=knee)
    if as_json:
        print_json("frontier", None, {"knee": knee, "points": found.rows()})
        return
    console.print(frontier_table(found, file.name))
    console.print(f"knee: λ = {knee:.4g}; beyond it balance gains nothing worth paying for")
    if plot is not None:
        console.print(f"picture in {plot}")
