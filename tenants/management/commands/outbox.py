"""`outbox [--json]`, `outbox release [N]`, `outbox park N`: what waits, and the two moves a person makes."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants import clock
from tenants.outbox import keeping


class Command(BaseCommand):
    help = "Count the messages per state and class; release parked ones, or park one whose sending ended in doubt."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "action", nargs="?", choices=["release", "park"], help="release: parked → queued; park: unknown → parked"
        )
        parser.add_argument("message", nargs="?", type=int, metavar="N", help="a message's id; release alone takes all")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        action, message_id, now = options["action"], options["message"], clock.now()
        try:
            if action == "park":
                if message_id is None:
                    raise CommandError("Say which message to park: outbox park N.", returncode=2)
                keeping.park(message_id, now=now)
                facts: dict[str, Any] = {"parked": 1}
            elif action == "release":
                facts = {"released": keeping.release(message_id, now=now)}
            else:
                rows = [{"state": state, "class": klass, "n": n} for state, klass, n in keeping.counts()]
                facts = {"messages": rows, "oldest_due_seconds": round(keeping.oldest_due(now=now), 1)}
        except keeping.NotMovable as refusal:
            raise CommandError(str(refusal), returncode=2) from None
        self.stdout.write(json.dumps(facts) if options["json"] else "\n".join(lines(facts)))


def lines(facts: dict[str, Any]) -> list[str]:
    """The facts for a person at a terminal."""
    if "messages" not in facts:
        return [f"{name}: {n}" for name, n in facts.items()]
    page = [f"{row['state']:<12} {row['class']:<10} {row['n']:>8}" for row in facts["messages"]]
    return [*(page or ["The outbox is empty."]), f"oldest due: {facts['oldest_due_seconds']} s"]
