"""`clock`: the product's now."""

import json
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants import clock


class Command(BaseCommand):
    help = "Show the product's now, or set it (in the demo and in tests only)."

    def add_arguments(self, parser: CommandParser) -> None:
        either = parser.add_mutually_exclusive_group()
        either.add_argument(
            "--set", metavar="ISO", help="a moment such as 2025-12-01T10:00+08:00; Shanghai if no offset"
        )
        either.add_argument("--real", action="store_true", help="return to real time")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["set"]:
            try:
                moment = datetime.fromisoformat(options["set"])
            except ValueError:
                raise CommandError(
                    f"“{options['set']}” is not a moment such as 2025-12-01T10:00+08:00.", returncode=2
                ) from None
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=clock.SHANGHAI)
            try:
                clock.set_to(moment)
            except clock.ClockIsReal as refusal:
                raise CommandError(str(refusal), returncode=2) from None
        elif options["real"]:
            clock.reset()
        now = clock.now().astimezone(clock.SHANGHAI)
        self.stdout.write(json.dumps({"now": now.isoformat()}) if options["json"] else f"{now:%Y-%m-%d %H:%M:%S %z}")
