"""`make reset`: forget the demo of this folder."""

from __future__ import annotations

import shutil
import sys

from renewal import embedded


def main() -> int:
    """The demo's processes and its server have ended, and its data is gone."""
    data = embedded.data_dir()
    if not data.exists():
        print("There is no demo to forget.")  # noqa: T201
        return 0
    embedded.stop_leftovers()
    embedded.stop()
    # Only what the demo makes: a folder chosen with DATA= may hold other things.
    for name in ("postgres", "broker", "run", "sample", "static", "quarantine"):
        shutil.rmtree(data / name, ignore_errors=True)
    print("The demo's data is gone; `make demo` starts afresh.")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
