"""`quarantine list|export|replay`: what was refused and why, and another try after a fix."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from renewal import loading, quarantine
from tenants import clock


class Command(BaseCommand):
    help = "Refused rows: list them, export them to files that can be corrected and loaded, or try them again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("verb", choices=["list", "export", "replay"])
        parser.add_argument("--source", default="", metavar="S")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        source: str = options["source"]
        if source and source not in loading.FEEDS:
            facts = {"source": source, "known": "、".join(loading.FEEDS)}
            raise CommandError(_("There is no source %(source)s; there are %(known)s.") % facts, returncode=2)
        show = getattr(self, f"_{options['verb']}")
        show(source, options["json"])

    def _list(self, source: str, as_json: bool) -> None:
        rows = quarantine.quarantined(source)
        if as_json:
            self._print({"count": len(rows), "refusals": rows})
            return
        for row in rows:
            self.stdout.write(f"{row['source']}:{row['line']}  {row['reason']}  ×{row['attempts']}")
        self.stdout.write(_("%(count)d in quarantine") % {"count": len(rows)})

    def _export(self, source: str, as_json: bool) -> None:
        written = quarantine.export(source)
        if as_json:
            self._print({"files": written})
            return
        for path in written.values():
            self.stdout.write(path)

    def _replay(self, source: str, as_json: bool) -> None:
        results = quarantine.replay(source, now=clock.now())
        if as_json:
            self._print({"sources": results})
        else:
            for name, counts in results.items():
                sentence = _("%(source)s: %(received)d tried again, %(rejected)d refused once more")
                self.stdout.write(sentence % {"source": name, **counts})
        if any(counts["rejected"] for counts in results.values()):
            raise SystemExit(1)

    def _print(self, answer: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(answer, ensure_ascii=False))
