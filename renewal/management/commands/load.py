"""`load SOURCE FILE`: a source's file into the tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from connectors.models import Mapping
from connectors.sources import Unusable
from renewal import loading
from tenants import clock


class Command(BaseCommand):
    help = "Load a file of a source. Exit status 1: some rows were refused; 2: the file or an option cannot be used."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", help=", ".join(loading.FEEDS))
        parser.add_argument("file", type=Path)
        parser.add_argument("--mapping", metavar="NAME", help="a saved mapping of columns")
        parser.add_argument("--dry-run", action="store_true", help="say what would happen, and change nothing")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        source: str = options["source"]
        path: Path = options["file"]
        if source not in loading.FEEDS:
            facts = {"source": source, "known": "、".join(loading.FEEDS)}
            raise CommandError(_("There is no source %(source)s; there are %(known)s.") % facts, returncode=2)
        mapping = _saved(source, options["mapping"]) if options["mapping"] else None
        try:
            with _bar(source, path) as progress:
                report = loading.load(
                    source, path, now=clock.now(), mapping=mapping, dry_run=options["dry_run"], progress=progress
                )
        except Unusable as unusable:
            raise CommandError(str(unusable), returncode=2) from None
        if options["json"]:
            plain = asdict(report)
            if not report.exceptions:
                del plain["exceptions"]
            self.stdout.write(json.dumps(plain, ensure_ascii=False))
        else:
            sentence = _(
                "%(source)s: %(received)d rows; %(accepted)d new, %(duplicate)d known, "
                "%(rejected)d refused; %(seconds)s s"
            )
            self.stdout.write(sentence % {"source": source, **asdict(report)})
            if report.exceptions:
                self.stdout.write(_("Of the new ones, waiting for a second person: %(n)d") % {"n": report.exceptions})
            if report.quarantine_file:
                self.stdout.write(_("The refused rows, with reasons: %(file)s") % {"file": report.quarantine_file})
        if report.rejected:
            raise SystemExit(1)


def _saved(source: str, name: str) -> dict[str, str]:
    """The columns of the mapping that somebody saved under this name."""
    try:
        return dict(Mapping.objects.get(source=source, name=name).columns)
    except (Mapping.DoesNotExist, ValueError):  # a name with NUL in it is none of ours
        raise CommandError(_("There is no saved mapping %(name)s.") % {"name": name}, returncode=2) from None


@contextmanager
def _bar(source: str, path: Path) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr while somebody is looking."""
    if not sys.stderr.isatty() or not path.is_file():
        yield lambda rows: None
        return
    with path.open("rb") as file:
        total = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(source, total=total or None)
        yield lambda rows: bar.update(task, completed=rows)
