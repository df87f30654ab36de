"""`quote LEASE --months N`: the server's price of one choice, every line of it."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from renewal import offers, quotes
from tenants import clock


class Command(BaseCommand):
    help = "Price one choice for one lease, as the published rate card has it for a day of signing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("lease", help="contract number or id")
        parser.add_argument("--months", type=int, required=True)
        parser.add_argument("--free", type=int, default=0, help="free months")
        parser.add_argument("--perk", default="", help="code of a perk")
        parser.add_argument("--unit", default="", help="code of another vacant unit of the building")
        parser.add_argument("--move-on", type=date.fromisoformat, help="day of moving; the earliest if left out")
        parser.add_argument("--day", type=date.fromisoformat, help="day of signing; today if left out")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        choice = offers.Choice(options["months"], options["free"], options["unit"], options["perk"])
        try:
            quote, early = quotes.of_lease(
                options["lease"], choice, day=options["day"] or clock.today(), move_on=options["move_on"]
            )
        except offers.NotOffered as error:
            raise CommandError(quotes.sentence(error), returncode=2) from error
        except quotes.UnknownLease as error:
            raise CommandError(str(error), returncode=2) from error
        data = quotes.as_data(quote) | {"by_day": quotes.early_as_data(early) if early else None}
        self.stdout.write(json.dumps(data, ensure_ascii=False) if options["json"] else _text(data))


def _text(data: dict[str, Any]) -> str:
    head = f"{data['unit']} {data['room_type']}  {data['first_day']} – {data['last_day']}  {data['term_months']} × "
    lines = [f"{head}{data['monthly_rent']}"]
    for line in data["lines"]:
        sum_of = f"  ({line['times']} × {line['each']})" if line["each"] is not None else ""
        lines.append(f"  {line['amount']:>12}  {line['name']}{sum_of}")
    if early := data["by_day"]:
        lines.append(f"  {early['amount']:>12}  {early['name']}")
        for part in early["parts"]:
            of = f"{part['days']} × {early['difference']} ÷ {part['days_of_month']}"
            lines.append(f"  {'':>12}  {part['first_day']} – {part['last_day']}  {of}")
    return "\n".join(lines)
