"""`manage.py sample DIR`: write the sample portfolio as source files. Needs no database."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from connectors.sample import portfolio


class Command(BaseCommand):
    help = "Write the sample portfolio as source files"
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", metavar="DIR", type=Path)
        # Read as text and judged here, so that a slip is answered by one sentence.
        parser.add_argument("--rooms", default="1042", metavar="N")
        parser.add_argument("--seed", default="7", metavar="S")
        parser.add_argument("--today", default="2025-12-01", metavar="D")

        parser.add_argument("--shared", action="store_true", help="some of the larger rooms have two tenants")

    def handle(self, *args: Any, **options: Any) -> None:
        rooms = _number("--rooms", options["rooms"])
        seed = _number("--seed", options["seed"])
        today = _day("--today", options["today"])
        console = Console(stderr=True)
        started = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("", total=portfolio.STEPS)

            def report(step: str) -> None:
                progress.update(task, description=step, advance=1)

            try:
                written = portfolio.write(
                    options["folder"], rooms=rooms, seed=seed, today=today, shared=options["shared"], report=report
                )
            except portfolio.Unusable as reason:
                raise CommandError(str(reason), returncode=2) from reason
        self.stderr.write(
            f"{options['folder']}: {rooms:,} rooms, {written.let_units:,} let, {written.total_events:,} events "
            f"in {time.monotonic() - started:.1f} s",
            style_func=lambda text: text,
        )


def _number(option: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise CommandError(f"{option} needs a whole number, not “{text}”.", returncode=2) from None


def _day(option: str, text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{option} needs a day such as 2025-12-01, not “{text}”.", returncode=2) from None
    if not 2000 <= day.year <= 2100:
        raise CommandError(f"{option} needs a day between 2000 and 2100.", returncode=2)
    return day
