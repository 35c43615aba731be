"""The progress line of a long run, on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .search import Progress


@contextmanager
def progress_line() -> Iterator[Callable[[Progress], None]]:
    """Show the best objective and bound so far beside a clock until the run ends."""
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("solving")

        def show(progress: Progress) -> None:
            found = "no answer yet" if progress.objective is None else f"{progress.objective:.6g}"
            proven = "no bound yet" if progress.bound is None else f"{progress.bound:.6g}"
            bar.update(task, description=f"objective {found}   bound {proven}")

        yield show
