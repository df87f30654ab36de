"""The rule language as a JSON schema."""

from typing import Any

from django.core.management.base import BaseCommand

from campaigns import schema


class Command(BaseCommand):
    help = "Prints the JSON schema of a rule, as docs/rules.schema.json holds it."

    def handle(self, **options: Any) -> None:
        self.stdout.write(schema.text(), ending="")
