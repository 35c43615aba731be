"""Commands on video problems: estimate, choose frames, draw, compare."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from .printing import fail, open_console, print_json

if TYPE_CHECKING:
    from pathlib import Path

    from ..problems import ErrorEstimate, Selection, TemporalCoherence
    from ..problems.video_files import Framing, VideoFile


def read_video(file: Path, *, needs_frames: bool = False) -> tuple[TemporalCoherence, VideoFile]:
    """Read a video problem file and run its tracker."""
    from ..problems.video_files import read_video_file
    from ..studies.video import video_problem

    content = read_video_file(file)
    if needs_frames and content.framing is None:
        fail("error: --draw: draws the chosen frames; add [frames] to the problem file", 2)
    try:
        with open_console().status("tracking") as status:
            return video_problem(content, status.update), content
    except KeyboardInterrupt:
        fail("interrupted while tracking; nothing is saved", 130)


def solve_video(
    file: Path,
    asked: dict[str, Any],
    options: dict[str, Any],
    out: Path | None,
    draw: Path | None,
    as_json: bool,
) -> None:
    """Estimate the detector's mistakes, choose frames, save and draw them."""
    from ..problems import Status, StoppedBy
    from ..problems.atomic import require_writable
    from ..problems.solution_files import solution_to_dict
    from ..solvers import solve as run
    from ..studies.video_tables import estimate_table, frames_table

    out = out or file.with_suffix(".estimate.json")
    require_writable(out)
    if out.exists() and out.samefile(file):
        fail(f"error: --out: {out} is the problem file; name another file", 2)
    problem, content = read_video(file, needs_frames=draw is not None)
    arguments = {**content.solve, **{k: v for k, v in asked.items() if v is not None}}
    if options:
        arguments["options"] = {**arguments.get("options", {}), **options}
    try:
        estimate = run(problem, **arguments, progress=sys.stderr.isatty())
    except KeyboardInterrupt:
        fail("interrupted before there was an answer; nothing is saved", 130)
    estimate.save(out)
    console = open_console()
    console.print(estimate_table(problem, estimate))
    chosen, saved = None, [out]
    if estimate.objective is not None:
        saved.append(_write_types(problem, estimate, content.layout, out))
    if content.framing is not None and estimate.objective is not None:
        chosen = _choose(problem, estimate, content.framing, arguments)
        saved.append(_beside(out, "frames.json"))
        chosen.save(saved[-1])
        console.print(frames_table(chosen, estimate))
    if draw is not None and chosen is not None:
        from ..studies.video_pictures import draw_frames

        saved.append(draw_frames(problem, estimate, chosen.indices, draw)[0])
    if as_json:
        frames = None if chosen is None else solution_to_dict(chosen)
        found = {"estimate": solution_to_dict(estimate), "frames": frames}
        print_json("video", str(out), found)
    for path in saved:
        console.print(f"saved in {path}")
    if StoppedBy.INTERRUPT in (estimate.stopped_by, None if chosen is None else chosen.stopped_by):
        raise typer.Exit(130)
    codes = {Status.INFEASIBLE: 1, Status.UNKNOWN: 3}
    raise typer.Exit(codes.get((chosen or estimate).status, 0))


def _beside(out: Path, ending: str) -> Path:
    """Return the file beside an estimate's: ``x.estimate.json`` and ``x.json`` become x.ending."""
    stem = out.with_suffix("") if out.suffix == ".json" else out
    stem = stem.with_suffix("") if stem.suffix == ".estimate" else stem
    return stem.with_name(f"{stem.name}.{ending}")


def _write_types(
    problem: TemporalCoherence, estimate: ErrorEstimate, layout: str, out: Path
) -> Path:
    """Write the detections with their types and return the file; several videos are COCO's."""
    from ..problems import write_detections

    layout = layout if len(problem.detections.videos) == 1 else "coco"
    typed = _beside(out, f"types{'.json' if layout == 'coco' else '.txt'}")
    lost = estimate.false_negatives
    missed = {name: column[lost] for name, column in estimate.candidates.items()}
    write_detections(typed, problem.detections, estimate.types, layout=layout, missed=missed)
    return typed


def _choose(
    problem: TemporalCoherence,
    estimate: ErrorEstimate,
    framing: Framing,
    arguments: dict[str, Any],
) -> Selection:
    """Choose the frames to label, with the time limit and the seed of the estimate."""
    from ..studies.video import choose_frames, frame_utility

    limits = {k: arguments[k] for k in ("time_limit", "seed") if k in arguments}
    within = {k: v for k, v in limits.items() if k == "time_limit"}
    utility = frame_utility(problem, estimate, framing.utility, **within)
    return choose_frames(problem, utility, framing, **limits)


def compare_video(
    file: Path,
    method: list[str] | None,
    seeds: int,
    time_limit: float | None,
    as_json: bool,
) -> None:
    """Put graph cut, score threshold and chance beside the truth, where it is given."""
    from ..studies.video import compare_estimates
    from ..studies.video_tables import quality_table

    problem, content = read_video(file)
    limits = {k: v for k, v in content.solve.items() if k == "time_limit"}
    if time_limit is not None:
        limits["time_limit"] = time_limit
    try:
        rows = compare_estimates(
            problem,
            content.truth,
            content.framing,
            methods=None if method is None else tuple(method),
            seeds=range(seeds),
            **limits,
        )
    except KeyboardInterrupt:
        fail("interrupted before the comparison had finished", 130)
    if as_json:
        print_json("comparison", None, {"methods": [vars(row) for row in rows]})
        return
    console = open_console()
    console.print(quality_table(rows, f"{file.name}   {problem!r}"))
    if content.truth is None:
        console.print("no truth is given, so nothing says how good they are")


def show_video(file: Path, solution: Path | None, plot: Path | None, as_json: bool) -> None:
    """Show what a video problem states, or an estimate that solve wrote."""
    from ..problems.video_files import read_video_file
    from ..studies.video_tables import estimate_table, video_table

    if plot is not None:
        fail("error: --plot: is for selection problems; solve --draw draws the chosen frames", 2)
    if solution is not None:
        from ..problems import ErrorEstimate, check, load_solution
        from ..problems.solution_files import solution_to_dict

        answer, problem = load_solution(solution), read_video(file)[0]
        check(problem, answer)
        assert isinstance(answer, ErrorEstimate)  # else it answers another problem
        if as_json:
            print_json("estimate", str(solution), solution_to_dict(answer))
            return
        open_console().print(estimate_table(problem, answer))
        return
    content = read_video_file(file)
    if as_json:
        found = content.detections
        facts = {"videos": len(found.videos), "frames": found.n_frames, "detections": len(found)}
        print_json("video", None, facts)
        return
    open_console().print(video_table(content))
