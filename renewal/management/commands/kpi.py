"""`kpi [--day D] [--building CODE] [--as-known-on D] [--json]`: the figures of a day, with n and intervals."""

from __future__ import annotations

import argparse
import json
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from renewal import kpis
from tenants import clock
from tenants.models import Building


class Command(BaseCommand):
    help = "Print the figures of a day, with n and intervals."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--day", type=a_day, help="the day, as YYYY-MM-DD; today if not given")
        parser.add_argument("--building", help="only this building, by its code")
        parser.add_argument("--as-known-on", type=a_day, dest="known_on", help="without what was recorded later")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        building = None
        if code := options["building"]:
            building = Building.objects.filter(code=code).first()
            if building is None:
                raise CommandError(f"There is no building “{code}”.", returncode=2)
        now = clock.now()
        day = a_day(options["day"]) if options["day"] else clock.day_of(now)
        known_on = a_day(options["known_on"]) if options["known_on"] else None
        figures = kpis.figures(day=day, building=building, now=now, known_on=known_on)
        figures["building"] = building.code if building else None
        if options["json"]:
            self.stdout.write(json.dumps(figures, ensure_ascii=False))
        else:
            self.stdout.write("\n".join(lines(figures)))


def a_day(text: str | date) -> date:
    """The day that `text` names; argparse turns the error into one sentence."""
    if isinstance(text, date):
        return text
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"“{text}” is not a day; write it as 2025-12-01.") from None


def lines(figures: dict[str, Any]) -> list[str]:
    """The figures for a person at a terminal."""
    page = [f"{figures['day']}  {figures['building'] or 'all buildings'}"]
    for name, period in figures["renewal"].items():
        page.append(f"renewal, {name} ({period['from']} – {period['to']}): {percent(period['rate'])}")
        page.append(f"  decided so far: {percent(period['decided'])}; retention: {percent(period['retention'])}")
        page.append(
            f"  apart: transferred {period['transferred']}, holdover {period['holdover']}, "
            f"ended by the operator {period['ended_by_operator']}, ended early {period['ended_early']}; "
            f"undecided {period['undecided']}"
        )
    states = ", ".join(f"{state} {n}" for state, n in figures["cases"]["states"].items() if n)
    page.append(f"cases ({figures['cases']['from']} – {figures['cases']['to']}): {states or 'none'}")
    for name, waits in figures["accept"].items():
        page.append(
            f"time to accept, {name}: mean {hours(waits['mean'])}, p50 {hours(waits['p50'])}, "
            f"p90 {hours(waits['p90'])}, n {waits['n']}, still waiting {waits['waiting']}"
        )
    states = ", ".join(f"{state} {n}" for state, n in sorted(figures["pushes"]["states"].items()))
    page.append(f"pushes ({figures['pushes']['from']} – {figures['pushes']['to']}): {states or 'none'}")
    page.append(f"proven clicks: {percent(figures['clicks']['proven'])}; unproven {figures['clicks']['unproven']}")
    page.append(
        f"vacancy, month to date: {figures['vacancy']['cost']} yuan, {figures['vacancy']['unit_days']} unit-days"
    )
    return page


def percent(share: dict[str, Any]) -> str:
    if share["rate"] is None:
        return "– (n 0)"
    return f"{share['rate']:.1%} ({share['k']} of {share['n']}, 95 % {share['low']:.1%} – {share['high']:.1%})"


def hours(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} h"
