"""Loaded before Django's settings: where the tests run. DATABASE_URL names a server, or the embedded one is started."""

import os
from pathlib import Path

os.environ["STAGE"] = "test"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "renewal.settings")
os.environ.setdefault("DATA", str(Path(__file__).resolve().parent.parent / ".data" / "test"))
os.environ.setdefault(
    "SERVER_URL", os.environ.get("DATABASE_URL", "")
)  # for the products that tests start, tests/product.py
if not os.environ["SERVER_URL"]:
    from renewal import embedded

    os.environ["DATABASE_URL"] = embedded.start()
