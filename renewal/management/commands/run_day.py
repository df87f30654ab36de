"""`run_day [--today D] [--json]`: once, all that the schedule does in a day. Twice changes nothing more.

Another day than the clock's is run as of ten in the morning of that day.
"""

from __future__ import annotations

import argparse
import json
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import translation
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from renewal import days
from tenants import clock


class Command(BaseCommand):
    help = "Run a day: repairs, features, tags, cases, proposals, playbooks, messages, figures."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--today", type=a_day, help="the day, as YYYY-MM-DD; the clock's today if not given")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        now = clock.now()
        today = a_day(options["today"]) if options["today"] else clock.day_of(now)
        # Progress is for a person; where standard error is no terminal, rich shows nothing of it.
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
            task = bar.add_task("", total=len(days.STAGES))

            def report(stage: days.Stage, done: int) -> None:
                bar.update(task, description=translation.gettext(stage.title), completed=done)

            done = days.run(today=today, now=days.moment_of(today, now=now), report=report)
        if options["json"]:
            self.stdout.write(json.dumps(done, ensure_ascii=False))
            return
        for stage, counts in done["stages"].items():
            said = ", ".join(f"{what} {n}" for what, n in counts.items() if n) or "nothing new"
            self.stdout.write(f"{stage:<10} {done['seconds'][stage]:>7.2f} s  {said}")


def a_day(text: str | date) -> date:
    """The day that `text` names; argparse turns the error into one sentence."""
    if isinstance(text, date):
        return text
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"“{text}” is not a day; write it as 2025-12-01.") from None
