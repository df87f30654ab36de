#!/usr/bin/env python
"""Django's command line. Without DATABASE_URL it works on the embedded server, started when needed."""

import os
import sys

# Commands that touch no table, so that they run where no server can.
WITHOUT_DATABASE = {"sample", "help", "version", "--help", "--version", "collectstatic", "makemessages"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "renewal.settings")
    from django.core.management import execute_from_command_line

    from renewal import embedded

    embedded.read_environment()
    if not os.environ.get("DATABASE_URL") and not WITHOUT_DATABASE & set(sys.argv[1:2]):
        is_fresh = not embedded.exists()
        embedded.start()
        if is_fresh:
            execute_from_command_line([sys.argv[0], "migrate", "-v", "0"])
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
