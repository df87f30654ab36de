"""What waits in the outbox, and what only a person does.

`outbox [--json]`, `outbox release [N]`, `outbox park N`; `outbox stop [CHANNEL]` and `outbox go [CHANNEL] --as USER`,
of everything where no channel is named.
"""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants import clock
from tenants.models import User
from tenants.outbox import gates, keeping


class Command(BaseCommand):
    help = "Count the messages per state and class; release parked ones, or park one whose sending ended in doubt."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "action",
            nargs="?",
            choices=["release", "park", "stop", "go"],
            help="release: parked → queued; park: unknown → parked; stop or go: a channel, or everything",
        )
        parser.add_argument("which", nargs="?", metavar="N|CHANNEL", help="a message's id; release alone takes all")
        parser.add_argument("--as", dest="user", metavar="USER", help="the account of whoever decides")
        parser.add_argument("--why", default="", help="kept with the decision")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            facts = _done(options)
        except (keeping.NotMovable, gates.NotStopped) as refusal:
            raise CommandError(str(refusal), returncode=2) from None
        self.stdout.write(json.dumps(facts) if options["json"] else "\n".join(lines(facts)))


def _done(options: dict[str, Any]) -> dict[str, Any]:
    """What was asked for is done; what came of it."""
    action, which, why, now = options["action"], options["which"], options["why"], clock.now()
    by = _user(options["user"])
    match action:
        case "park" if which is None:
            raise CommandError("Say which message to park: outbox park N.", returncode=2)
        case "park":
            keeping.park(_number(which), by=by, why=why, now=now)
            return {"parked": 1}
        case "release":
            return {"released": keeping.release(None if which is None else _number(which), by=by, why=why, now=now)}
        case "stop":
            return {"stopped": int(gates.stop(_channel(which), by=by, why=why, now=now))}
        case "go":
            if by is None:
                raise CommandError("Say who lets it go: outbox go --as USER.", returncode=2)
            return {"let go from": str(gates.let_go(_channel(which), by=by, why=why, now=now).value)}
    rows = [{"state": state, "class": klass, "n": n} for state, klass, n in keeping.counts()]
    return {"messages": rows, "oldest_due_seconds": round(keeping.oldest_due(now=now), 1)}


def _user(name: str | None) -> User | None:
    if name is None:
        return None
    if found := User.objects.filter(username=name, is_active=True, is_staff=True).first():
        return found
    raise CommandError(f"There is no member of staff with the account {name}.", returncode=2)


def _number(which: str) -> int:
    if which.isascii() and which.isdigit():
        return int(which)
    raise CommandError(f"“{which}” is no message's number.", returncode=2)


def _channel(which: str | None) -> str:
    if which in (None, gates.EVERYTHING):
        return gates.EVERYTHING
    if which in settings.CHANNELS:
        return str(which)
    raise CommandError(f"This house has no channel {which}.", returncode=2)


def lines(facts: dict[str, Any]) -> list[str]:
    """The facts for a person at a terminal."""
    if "messages" not in facts:
        return [f"{name}: {n}" for name, n in facts.items()]
    page = [f"{row['state']:<12} {row['class']:<10} {row['n']:>8}" for row in facts["messages"]]
    return [*(page or ["The outbox is empty."]), f"oldest due: {facts['oldest_due_seconds']} s"]
