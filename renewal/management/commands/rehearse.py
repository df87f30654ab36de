"""`rehearse [--days N] [--tenant ID] [--json]`: what the next days would send and give, if nothing else happens."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from renewal import rehearsals
from renewal.bars import bar
from tenants import clock


class Command(BaseCommand):
    help = "Let the next days pass on paper: what each tenant would be sent, what not, and why. Nothing is sent."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=rehearsals.DAYS_AHEAD, metavar="N")
        parser.add_argument("--tenant", type=int, metavar="ID", help="only this tenant's timeline")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        with bar() as report:
            try:
                result = rehearsals.dry_run(now=clock.now(), ahead=options["days"], report=report)
            except rehearsals.CannotRehearse as error:
                raise CommandError(str(error), returncode=2) from error
        if (tenant := options["tenant"]) is not None:
            for part in ("pushes", "followings"):
                result[part] = [each for each in result[part] if each["tenant"] == tenant]
            result["roadmap"]["grants"] = [each for each in result["roadmap"]["grants"] if each["tenant"] == tenant]
        if options["json"]:
            self.stdout.write(json.dumps(result, ensure_ascii=False))
            return
        for push in result["pushes"]:
            would = push["would"]
            sent = would["sent_at"] or "–"
            self.stdout.write(f"{would['on']}  #{push['lease']}  {push['step']:<20} {would['state']:<10} {sent}")
            self.stdout.write(f"    {would['reason']}")
        for each in result["roadmap"]["grants"]:
            self.stdout.write(f"{each['on']}  #{each['lease']}  {each['perk']:<20} {each['why']}")
