"""`backtest --from A --to B [--playbook CODE] [--rule FILE] [--as-now] [--basis …] [--json]`: days run again.

As known on each day, beside what really went. Nothing is written and nothing is sent.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from campaigns.grammar import BadRule
from campaigns.models import Playbook
from renewal import rehearsals, whatif
from renewal.bars import bar
from renewal.management.commands.kpi import a_day, percent
from tenants import clock, past


class Command(BaseCommand):
    help = "Run past days again, as known on each, beside what really went. Nothing is sent."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", type=a_day, required=True, dest="first", metavar="A")
        parser.add_argument("--to", type=a_day, required=True, dest="last", metavar="B")
        parser.add_argument("--playbook", metavar="CODE", help="only this one; without it, everything")
        parser.add_argument("--rule", type=Path, metavar="FILE", help="this rule, instead of the playbook's segment")
        parser.add_argument("--as-now", action="store_true", help="with today's rules and steps on all days")
        parser.add_argument(
            "--basis",
            choices=[past.RECORDED, past.HAPPENED],
            default=past.RECORDED,
            help="a fact is known once it was recorded, or (for days before the records begin) once it happened",
        )
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        playbook, rule = None, None
        if code := options["playbook"]:
            playbook = Playbook.objects.filter(code=code).first()
            if playbook is None:
                raise CommandError(f"There is no playbook “{code}”.", returncode=2)
        if path := options["rule"]:
            try:
                rule = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError, RecursionError) as error:
                raise CommandError(f"{path}: {error}", returncode=2) from error
        asked = rehearsals.BackTest(
            first=options["first"],
            last=options["last"],
            playbook=playbook,
            rule=rule,
            as_now=options["as_now"],
            basis=options["basis"],
        )
        with bar() as report:
            try:
                result = rehearsals.backtest(asked, now=clock.now(), report=report)
            except (rehearsals.CannotRehearse, BadRule) as error:
                raise CommandError(str(error), returncode=2) from error
        if options["json"]:
            self.stdout.write(json.dumps(result, ensure_ascii=False))
            return
        for row in result["days"]:
            members = f"  members {row['members']}" if "members" in row else ""
            self.stdout.write(
                f"{row['day']}  would send {row['would']['sent']:>4}, really sent {row['really']['sent']:>4}, "
                f"decided otherwise {row['different']:>3}{members}"
            )
        self.stdout.write(f"the same: {result['same']}; different: {result['different']}")
        for name, group in result["later"].items():
            self.stdout.write(f"{name} (n {group['n']}): renewed {percent(group['renewed'])}")
        for note in whatif.notes(result):
            self.stdout.write(note)
