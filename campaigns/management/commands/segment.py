"""Who a rule selects, in words and in numbers."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from campaigns import segments
from tenants import clock


class Command(BaseCommand):
    help = "Says whom the rule in a JSON file selects, by the features and tags last computed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("rule", type=Path, metavar="RULE.json")
        parser.add_argument("--today", type=date.fromisoformat, metavar="D")
        parser.add_argument("--explain", type=int, metavar="TENANT", help="the tree of conditions for one tenant")
        parser.add_argument("--json", action="store_true")

    def handle(self, *, rule: Path, today: date | None, explain: int | None, **options: Any) -> None:
        today = today or clock.today()
        try:
            tree = json.loads(rule.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise CommandError(f"{rule}: {error}", returncode=2) from error
        try:
            answer = segments.look(tree, today=today, tenant=explain)
        except (segments.BadRule, segments.NotAResident) as error:
            raise CommandError(str(error), returncode=2) from error
        if options["json"]:
            self.stdout.write(json.dumps(answer, ensure_ascii=False))
            return
        self.stdout.write(f"{answer['sentence']['zh']}\n{answer['sentence']['en']}")
        if explain is None:
            self.stdout.write(f"{answer['count']}: {' '.join(map(str, answer['members']))}")
        else:
            self._draw(answer["explanation"], depth=0)
            for miss in answer["nearest"]:
                self.stdout.write(f"→ {miss}")

    def _draw(self, node: dict[str, Any], *, depth: int) -> None:
        mark = "✓" if node["holds"] else "✗"
        value = "" if "children" in node else f"  [{json.dumps(node['value'], ensure_ascii=False)}]"
        self.stdout.write(f"{'  ' * depth}{mark} {node['sentence']}{value}")
        for child in node.get("children", []):
            self._draw(child, depth=depth + 1)
