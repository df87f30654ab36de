"""Loaded before Django's settings: where the tests run. DATABASE_URL names a server, or the embedded one is started."""

import os
from pathlib import Path

os.environ["STAGE"] = "test"
os.environ["HOLDOUT_PERCENT"] = "0"  # everybody hears; tests/test_holdout.py has a share of its own
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "renewal.settings")
os.environ.setdefault("DATA", str(Path(__file__).resolve().parent.parent / ".data" / "test"))
os.environ.setdefault(
    "SERVER_URL", os.environ.get("DATABASE_URL", "")
)  # for the products that tests start, tests/product.py
if not os.environ["SERVER_URL"]:
    import psycopg2

    from renewal import embedded

    os.environ["DATABASE_URL"] = embedded.start()
    # A test's rows are never committed, so autovacuum counts none and tells the planner that every table is empty:
    # whether it comes by in that moment decides if a query takes a second or an hour.
    _server = psycopg2.connect(os.environ["DATABASE_URL"])
    _server.autocommit = True
    _server.cursor().execute("ALTER SYSTEM SET autovacuum = off")
    # A process that is killed loses nothing by this; a machine without power would, and then tests begin anew.
    _server.cursor().execute("ALTER SYSTEM SET fsync = off")
    _server.cursor().execute("ALTER SYSTEM SET full_page_writes = off")
    _server.cursor().execute("SELECT pg_reload_conf()")
    _server.close()
