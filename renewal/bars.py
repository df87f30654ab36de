"""A progress bar on standard error, for a person; where that is no terminal nothing is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn


@contextmanager
def bar() -> Iterator[Callable[[int, int], None]]:
    """In here, call what is given with how much is done, of how much."""
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as shown:
        task = shown.add_task("")
        yield lambda done, of: shown.update(task, completed=done, total=of)
