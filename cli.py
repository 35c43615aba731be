"""The command line: parses, calls, prints.

Tables and progress go to stderr; with ``--json`` one object goes to stdout. Exit codes: 0 an
answer, 1 infeasible or a failed check, 2 bad input, 3 stopped without an answer, 130 Ctrl-C.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from .problems import ProblemFile, SelectionProblem, TemporalCoherence
    from .problems.video_files import VideoFile

SCHEMA = 1
WIDTH = 120
"""Columns that tables may take at least; narrower terminals wrap lines, but no number is cut."""

app = typer.Typer(
    help="What to label next, with a proof.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="Problem file (TOML).")]
SolutionFile = Annotated[
    Path, typer.Argument(metavar="SOLUTION", help="Solution that solve wrote.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
TimeLimit = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="Wall-clock seconds for a run. [60]")
]
GapTol = Annotated[float | None, typer.Option(help="Relative gap that counts as optimal. [1e-4]")]
Plot = Annotated[
    Path | None, typer.Option(metavar="PICTURE", help="Draw a picture here (.png, .svg, .pdf).")
]


def main() -> None:
    """Run the command line; errors of the user's making are one line and exit code 2."""
    from .problems.errors import CheckFailed, InfeasibleSelection, LabelcutError

    try:
        app(standalone_mode=True)
    except (CheckFailed, InfeasibleSelection) as error:
        _fail(f"check failed: {error}", 1)
    except (LabelcutError, OSError) as error:
        _fail(f"error: {error}", 2)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"labelcut {version('labelcut')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    del version  # its callback has printed it


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
    from .problems import Status, StoppedBy
    from .problems.atomic import require_writable
    from .problems.solution_files import solution_to_dict
    from .solvers import solve as run
    from .studies.tables import solution_table

    asked = {"method": method, "time_limit": time_limit, "gap_tol": gap_tol, "seed": seed}
    if _is_video(file):
        _solve_video(file, asked, _parsed(option or []), out, draw, as_json)
        return
    if draw is not None:
        _fail("error: --draw: is for video problems; see compare --plot and show --plot", 2)
    problem, content = _read(file)
    out = out or file.with_suffix(".selection.json")
    require_writable(out)
    if out.exists() and out.samefile(file):
        _fail(f"error: --out: {out} is the problem file; name another file", 2)
    arguments = {**content.solve, **{k: v for k, v in asked.items() if v is not None}}
    if arguments.get("method") != content.solve.get("method", arguments.get("method")):
        arguments.pop("options", None)  # they are the file's own method's
    if option:
        arguments["options"] = {**arguments.get("options", {}), **_parsed(option)}
    try:
        solution = run(problem, **arguments, progress=sys.stderr.isatty())
    except KeyboardInterrupt:
        _fail("interrupted before there was an answer; nothing is saved", 130)
    solution.save(out)
    if as_json:
        _print_json("solution", str(out), solution_to_dict(solution))
    else:
        console = _console()
        console.print(solution_table(problem, solution, content.truth))
        console.print(f"saved in {out}")
    if solution.stopped_by is StoppedBy.INTERRUPT:
        raise typer.Exit(130)
    codes = {Status.INFEASIBLE: 1, Status.UNKNOWN: 3}
    raise typer.Exit(codes.get(solution.status, 0))


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
    if _is_video(file):
        _compare_video(file, method, seeds, time_limit, as_json)
        return
    from .problems import Status
    from .studies import compare as run
    from .studies import plot_choices
    from .studies.pictures import require_picture
    from .studies.tables import comparison_notes, comparison_table, programs_table
    from .studies.true_balance_pictures import can_plot_programs, plot_programs

    problem, content = _read(file)
    if plot is not None:
        require_picture(plot)
    asked = {"time_limit": time_limit, "gap_tol": gap_tol}
    limits = {k: content.solve[k] for k in (*asked, "abs_gap_tol") if k in content.solve}
    limits |= {k: v for k, v in asked.items() if v is not None}
    console = _console()
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
        _fail("interrupted before the first method had finished", 130)
    choices = {row["method"]: comparison.best(row["method"]) for row in comparison.rows()}
    answers = {name: choice for name, choice in choices.items() if choice is not None}
    if plot is not None and can_plot_programs(comparison):
        plot_programs(comparison, plot)
    elif plot is not None and answers:
        plot_choices(problem, answers, plot, truth=content.truth)
    if as_json:
        _print_json("comparison", None, comparison.to_dict())
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
def check(file: File, solution: SolutionFile, as_json: Json = False) -> None:
    """Re-verify somebody's solution: feasibility, objective and bound, without solving."""
    from .problems import Status, load_solution
    from .problems import check as verify

    answer = load_solution(solution)
    report = verify(_video(file)[0] if _is_video(file) else _read(file)[0], answer)
    if as_json:
        _print_json("check", None, vars(report))
        return
    console = _console()
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
    from .problems import Selection, load_solution
    from .problems import check as verify
    from .problems.solution_files import solution_to_dict
    from .solvers import methods
    from .studies import plot_choices
    from .studies.pictures import require_picture
    from .studies.tables import (
        classes_table,
        constraint_facts,
        methods_table,
        problem_table,
        reliability_table,
        solution_table,
    )
    from .studies.true_balance import reliabilities
    from .studies.true_balance_pictures import plot_reliability

    problem, content = _read(file)
    curves = reliabilities(problem, content.truth)
    answer = None if solution is None else load_solution(solution)
    if answer is not None:
        verify(problem, answer)
    assert answer is None or isinstance(answer, Selection)  # else it answers another problem
    if plot is not None:
        if answer is None and not curves:
            _fail(
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
        _print_json("problem", None, description)
        return
    console = _console()
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
    from .studies import frontier as trace
    from .studies import plot_frontier
    from .studies.pictures import require_picture
    from .studies.tables import frontier_table

    problem, _ = _read(file)
    if plot is not None:
        require_picture(plot)
    limits = {"time_limit": time_limit, "gap_tol": gap_tol}
    console = _console()
    try:
        with console.status("tracing the frontier"):
            found = trace(
                problem,
                balances or None,
                seed=seed,
                **{name: value for name, value in limits.items() if value is not None},
            )
            if not found.points:
                _fail("time ran out before the first λ was solved; raise --time-limit", 3)
            knee = found.knee()
    except KeyboardInterrupt:
        _fail("interrupted before the frontier was there", 130)
    if plot is not None:
        plot_frontier(found, plot, knee=knee)
    if as_json:
        _print_json("frontier", None, {"knee": knee, "points": found.rows()})
        return
    console.print(frontier_table(found, file.name))
    console.print(f"knee: λ = {knee:.4g}; beyond it balance gains nothing worth paying for")
    if plot is not None:
        console.print(f"picture in {plot}")


@app.command()
def export(
    file: File,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model file (.mps).")],
    as_json: Json = False,
) -> None:
    """Write the binary program as MPS, for any other solver."""
    from .solvers import export_model

    size = export_model(_read(file)[0], model)
    if as_json:
        _print_json("export", str(model), {"bytes": size})
    else:
        _console().print(f"saved in {model} ({size / 1e6:,.1f} MB); variable z<i> is row i")


@app.command()
def score(
    model: Annotated[
        str, typer.Option(metavar="MODULE:FUNCTION", help="Function that makes the model.")
    ],
    data: Annotated[
        str, typer.Option(metavar="MODULE:FUNCTION", help="Function that makes the DataLoader.")
    ],
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder for the arrays; a stopped run goes on.")
    ],
    outputs: Annotated[
        str, typer.Option(metavar="NAME,…", help="Any of the fields of labelcut.models.Scores.")
    ] = "probs,embeddings",
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="State dict (torch.save or .safetensors)."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Where to run, such as cuda. [where the model is]")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Layer whose input is the embedding. [the last one]")
    ] = None,
    pool: Annotated[str, typer.Option(help="Embedding maps: flatten or mean.")] = "flatten",
    apply: Annotated[str, typer.Option(help="softmax; none if the model ends in one.")] = "softmax",
    amp: Annotated[str, typer.Option(help="Mixed precision: auto or off.")] = "auto",
    passes: Annotated[int, typer.Option(help="Passes with dropout, for bald.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of these passes.")] = 0,
    as_json: Json = False,
) -> None:
    r"""Run a torch classifier over a dataset and write what it says of every row.

    Example: mymodule.py has make_model(), which returns a torch module, and
    make_loader(), which returns a DataLoader in dataset order. Then

        labelcut score --model mymodule:make_model --weights w.pt \
        --data mymodule:make_loader --outputs probs,embeddings,entropy \
        --device cuda --out scores/

    writes probs.npy, embeddings.npy and entropy.npy into scores/, one row for
    each of the dataset. Stop it at any time: the same command goes on. Weights
    are read without unpickling. A problem file then says
    probs = "scores/probs.npy" and utility = "scores/entropy.npy".
    """
    from .models.named import call_named, load_weights
    from .models.scoring import score as run

    try:
        network = call_named(model, "--model")
        if weights is not None:
            load_weights(network, weights)
        found = run(
            network,
            call_named(data, "--data"),
            outputs=[name.strip() for name in outputs.split(",")],
            device=device,
            out=out,
            layer=layer,
            pool=pool,  # type: ignore[arg-type]
            apply=apply,  # type: ignore[arg-type]
            amp=amp,  # type: ignore[arg-type]
            passes=passes,
            seed=seed,
            progress=sys.stderr.isatty(),
        )
    except (ValueError, TypeError) as error:
        _fail(f"error: {error}", 2)
    except KeyboardInterrupt:
        _fail(f"interrupted; the same command goes on with what is in {out}", 130)
    arrays = {name: array for name, array in vars(found).items() if array is not None}
    if as_json:
        files = {
            name: {"file": f"{name}.npy", "shape": list(array.shape), "dtype": str(array.dtype)}
            for name, array in arrays.items()
        }
        _print_json("scores", str(out), files)
        return
    for name, array in arrays.items():
        shape = " x ".join(f"{n:,}" for n in array.shape)
        _console().print(f"{out / name}.npy   {shape} {array.dtype}, {array.nbytes / 1e6:,.1f} MB")


def _is_video(file: Path) -> bool:
    from .problems.video_files import is_video_file

    return is_video_file(file)


def _video(file: Path) -> tuple[TemporalCoherence, VideoFile]:
    """Read a video problem file and run its tracker."""
    from .problems.video_files import read_video_file
    from .studies.video import video_problem

    content = read_video_file(file)
    try:
        with _console().status("tracking") as status:
            return video_problem(content, status.update), content
    except KeyboardInterrupt:
        _fail("interrupted while tracking; nothing is saved", 130)


def _solve_video(
    file: Path,
    asked: dict[str, Any],
    options: dict[str, Any],
    out: Path | None,
    draw: Path | None,
    as_json: bool,
) -> None:
    """Estimate the detector's mistakes, choose frames, save and draw them."""
    from .problems import Status, StoppedBy, write_detections
    from .problems.atomic import require_writable
    from .problems.solution_files import solution_to_dict
    from .solvers import solve as run
    from .studies.video import choose_frames, frame_utility
    from .studies.video_tables import estimate_table, frames_table

    out = out or file.with_suffix(".estimate.json")
    require_writable(out)
    if out.exists() and out.samefile(file):
        _fail(f"error: --out: {out} is the problem file; name another file", 2)
    problem, content = _video(file)
    arguments = {**content.solve, **{k: v for k, v in asked.items() if v is not None}}
    if options:
        arguments["options"] = {**arguments.get("options", {}), **options}
    try:
        estimate = run(problem, **arguments, progress=sys.stderr.isatty())
    except KeyboardInterrupt:
        _fail("interrupted before there was an answer; nothing is saved", 130)
    estimate.save(out)
    stem = out.with_suffix("") if out.suffix == ".json" else out
    stem = stem.with_suffix("") if stem.suffix == ".estimate" else stem
    layout, suffix = ("mot", ".txt") if len(problem.detections.videos) == 1 else ("coco", ".json")
    typed = stem.with_name(f"{stem.name}.types{suffix}")
    lost = estimate.false_negatives
    missed = {name: column[lost] for name, column in estimate.candidates.items()}
    console = _console()
    console.print(estimate_table(problem, estimate))
    chosen = None
    saved = [out]
    if estimate.objective is not None:
        write_detections(typed, problem.detections, estimate.types, layout=layout, missed=missed)
        saved.append(typed)
    if content.framing is not None and estimate.objective is not None:
        utility = frame_utility(problem, estimate, content.framing.utility)
        limits = {k: arguments[k] for k in ("time_limit", "seed") if k in arguments}
        chosen = choose_frames(problem, utility, content.framing, **limits)
        saved.append(stem.with_name(f"{stem.name}.frames.json"))
        chosen.save(saved[-1])
        console.print(frames_table(chosen, estimate))
    if draw is not None:
        from .studies.video_pictures import draw_frames

        if chosen is None:
            _fail("error: --draw: draws the chosen frames; add [frames] to the problem file", 2)
        saved.append(draw_frames(problem, estimate, chosen.indices, draw)[0])
    if as_json:
        frames = None if chosen is None else solution_to_dict(chosen)
        found = {"estimate": solution_to_dict(estimate), "frames": frames}
        _print_json("video", str(out), found)
    for path in saved:
        console.print(f"saved in {path}")
    if StoppedBy.INTERRUPT in (estimate.stopped_by, None if chosen is None else chosen.stopped_by):
        raise typer.Exit(130)
    codes = {Status.INFEASIBLE: 1, Status.UNKNOWN: 3}
    raise typer.Exit(codes.get((chosen or estimate).status, 0))


def _compare_video(
    file: Path,
    method: list[str] | None,
    seeds: int,
    time_limit: float | None,
    as_json: bool,
) -> None:
    """Put graph cut, score threshold and chance beside the truth, where it is given."""
    from .studies.video import METHODS, compare_estimates
    from .studies.video_tables import quality_table

    problem, content = _video(file)
    limits = {} if time_limit is None else {"time_limit": time_limit}
    try:
        rows = [
            row
            for seed in range(seeds)
            for row in compare_estimates(
                problem,
                content.truth,
                content.framing,
                methods=tuple(method or METHODS),
                seed=seed,
                **limits,
            )
        ]
    except KeyboardInterrupt:
        _fail("interrupted before the comparison had finished", 130)
    if as_json:
        _print_json("comparison", None, {"methods": [vars(row) for row in rows]})
        return
    console = _console()
    console.print(quality_table(rows, f"{file.name}   {problem!r}"))
    if content.truth is None:
        console.print("no truth is given, so nothing says how good they are")


def _read(file: Path) -> tuple[SelectionProblem, ProblemFile]:
    from .problems import read_problem
    from .studies.metrics import as_truth

    if _is_video(file):
        _fail(f"error: {file.name}: a video problem; solve, compare and check take it", 2)
    content = read_problem(file)
    as_truth(content.truth, content.problem)
    return content.problem, content


def _parsed(pairs: list[str]) -> dict[str, Any]:
    """Read ``NAME=VALUE`` options; values are JSON where they can be, else strings."""
    parsed: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            _fail(f"error: --option: must be NAME=VALUE; got {pair!r}", 2)
        try:
            parsed[name] = json.loads(value)
        except ValueError:
            parsed[name] = value
    return parsed


def _print_json(what: str, path: str | None, content: Any) -> None:
    head = {"schema": SCHEMA, "kind": what} | ({} if path is None else {"path": path})
    typer.echo(json.dumps({**head, what: content}, allow_nan=False))


def _console() -> Console:
    from rich.console import Console

    console = Console(stderr=True, highlight=False, markup=False)
    console.width = max(console.width, WIDTH) if console.is_terminal else 160
    return console


def _fail(message: str, code: int) -> NoReturn:
    typer.echo(" ".join(message.split()), err=True)
    sys.exit(code)
