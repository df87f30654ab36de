"""`load_all FOLDER`: the files of one operator, by their sources, in the order in which each finds what it names."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

# In this order each source finds what it refers to.
FILES = {
    "units": "units.csv",
    "staff": "staff.csv",
    "contracts": "contracts.xlsx",
    "consents": "consents.csv",
    "rates": "rates.csv",
    "bills": "bills.csv",
    "payments": "payments.csv",
    "tickets": "tickets.csv",
    "community": "community.csv",
    "app": "app.jsonl",
    "iot": "iot.jsonl",
}


class Command(BaseCommand):
    help = (
        "Load all files of a folder as `sample` writes them. Exit status 1: some rows were refused; 2: a file is bad."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        if missing := [name for name in FILES.values() if not (folder / name).is_file()]:
            facts = {"folder": folder, "names": "、".join(missing)}
            raise CommandError(_("Not in %(folder)s: %(names)s. Nothing was loaded.") % facts, returncode=2)
        is_refused = False
        for number, (source, name) in enumerate(FILES.items(), 1):
            began = time.monotonic()
            self.stdout.write(f"[{number:>2}/{len(FILES)}] {source} …")
            self.stdout.flush()
            try:
                call_command("load", source, str(folder / name), stdout=self.stdout, stderr=self.stderr)
            except SystemExit as done:  # some of its rows are in quarantine
                is_refused = is_refused or bool(done.code)
            self.stdout.write(f"        {time.monotonic() - began:.1f} s")
        if is_refused:
            raise SystemExit(1)
