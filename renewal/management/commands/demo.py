"""`make demo`: the whole product on a bare machine, with the processes of production under one supervisor.

Steps: stop what an earlier demo left running; migrate; on the first start write the sample
portfolio, load it through the real sources, set the clock and run one day; then web, worker and
beat (and the MQTT listener where MQTT_URL is set) run under honcho until Ctrl-C. A demo cut short
while loading goes on at the next start: loading twice changes nothing.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from datetime import date
from datetime import time as time_of_day
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.models import Count, F, QuerySet
from honcho.manager import Manager

from campaigns import touchpoints
from renewal import embedded
from tenants import clock
from tenants.models import Building, Clock, JobRun, Lease, LeaseTenant, Message, Tenant, User

SAMPLE_TODAY = date(2025, 12, 1)


class Command(BaseCommand):
    help = "Run the demo: sample portfolio, web, worker and beat, until Ctrl-C."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--start", default="10:00", help="the time of day in Shanghai at the first start")
        parser.add_argument("--rooms", type=int, help="a smaller portfolio than the reference operator's 1,042 rooms")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.STAGE != "demo":
            raise CommandError(f"The demo runs with STAGE=demo, not {settings.STAGE}.", returncode=2)
        signal.signal(signal.SIGTERM, leave)
        self.began = time.monotonic()
        self.port = options["port"]
        stopped = embedded.stop_leftovers()
        if stopped:
            self.say(f"Stopped {stopped} processes that an earlier demo left running.")
        if not port_is_free(self.port):
            raise CommandError(
                f"Port {self.port} is in use; choose another: make demo PORT={self.port + 1}", returncode=2
            )
        self.env = {
            **os.environ,
            "STAGE": "demo",
            "DATABASE_URL": os.environ.get("DATABASE_URL") or embedded.url(),
            "SITE_URL": f"http://127.0.0.1:{self.port}",
            "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
            "PYTHONUNBUFFERED": "1",
            # The demo runs as whoever starts it; celery's advice on root is for installations.
            "PYTHONWARNINGS": "ignore::UserWarning",
            embedded.MARK: str(embedded.data_dir()),
        }
        try:
            self.prepare(options["rooms"], time_of_day.fromisoformat(options["start"]))
            status = self.supervise()
        except KeyboardInterrupt:
            status = 130
        sys.exit(status)

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    # --- The first start -----------------------------------------------------------------------

    def prepare(self, rooms: int | None, start: time_of_day) -> None:
        """The tables are current and, after the first start, the portfolio is in and one day has run."""
        self.say("Preparing the tables …")
        self.manage("migrate", "-v", "0")
        mine = JobRun.objects.filter(job="demo")
        if mine.filter(finished_at__isnull=False).exists():
            return
        if Tenant.objects.exists() and not mine.exists():
            raise CommandError(
                "This database holds tenants that are not the demo's; give it one of its own.", returncode=2
            )
        mine.get_or_create(job="demo", period="loaded", defaults={"started_at": clock.now()})
        folder = embedded.data_dir() / "sample"
        self.steps, self.step = 3, 0
        size = ["--rooms", str(rooms)] if rooms else []
        self.take("Writing the sample portfolio", "sample", str(folder), "--shared", *size)
        if not Clock.objects.exists():
            clock.set_to(clock.at(SAMPLE_TODAY, start.hour, start.minute))
        self.take("Loading it through its sources", "load_all", str(folder))
        self.take("Running the first day", "run_day")
        hang_touchpoints()
        for name in ("demo", "demo2"):  # what one asks for, a second person approves
            user, is_new = User.objects.get_or_create(username=name, defaults={"is_staff": True, "is_superuser": True})
            if is_new:
                user.set_password("demo")
                user.save()
        mine.update(finished_at=clock.now())
        self.say(f"        all in {time.monotonic() - self.began:.0f} s")

    def take(self, title: str, *command: str) -> None:
        """One numbered step, with its seconds, so that nobody wonders whether it still runs."""
        self.step += 1
        began = time.monotonic()
        self.say(f"[{self.step:>2}/{self.steps}] {title} …")
        self.manage(*command)
        self.say(f"        {time.monotonic() - began:.1f} s")

    def manage(self, *command: str) -> None:
        # Exit status 1 means done, with some records in quarantine.
        done = subprocess.run([sys.executable, str(embedded.BASE / "manage.py"), *command], env=self.env, check=False)  # noqa: S603
        if done.returncode not in (0, 1):
            raise CommandError(f"`{command[0]}` failed; what was loaded is kept, and `make demo` goes on from there.")

    # --- The processes -------------------------------------------------------------------------

    def processes(self) -> dict[str, list[str]]:
        """The processes of production, by name."""
        python = sys.executable
        celery = [python, "-m", "celery", "-A", "renewal", "-q"]
        bind = ["--bind", f"127.0.0.1:{self.port}", "--workers", "3", "--timeout", "60", "--log-level", "warning"]
        alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        found = {
            "web": [python, "-m", "gunicorn", "renewal.wsgi", *bind],
            "worker": [*celery, "worker", "--concurrency", "2", "--loglevel", "warning", *alone],
            "beat": [*celery, "beat", "--loglevel", "warning", "--pidfile="],
        }
        if os.environ.get("MQTT_URL"):
            found["listener"] = [python, str(embedded.BASE / "manage.py"), "listen"]
        return found

    def supervise(self) -> int:
        """Run the processes until one stops or we are told to; none outlives this call."""
        connection.close()  # the children must not share it
        manager = Manager()
        for name, command in self.processes().items():
            manager.add_process(name, shlex.join(command), env=self.env, cwd=str(embedded.BASE))
        threading.Thread(target=self.announce, daemon=True).start()
        manager.loop()
        # To be told to stop, by a person or by the system, is a good end.
        return 0 if manager.returncode in (130, 143) else int(manager.returncode or 0)

    def announce(self) -> None:
        """Say where to look, once the web answers."""
        address = f"http://127.0.0.1:{self.port}"
        for _attempt in range(240):
            try:
                with urllib.request.urlopen(f"{address}/readyz", timeout=2):  # noqa: S310
                    break
            except (urllib.error.URLError, OSError):
                time.sleep(0.25)
        else:
            self.say("The web process does not answer; its lines above say why.")
            return
        self.say(
            f"""
  ready in {time.monotonic() - self.began:.1f} s

  dashboard   {address}/admin/    login demo, password demo
{two_phones(address)}  a phone     {address}/phone/{a_phone()}

  Ctrl-C stops everything; the data stays for the next `make demo`.
"""
        )


def hang_touchpoints() -> None:
    """A few touchpoints of invented partners, with nothing counted yet; the locker's days are drawn by lot."""
    codes = list(Building.objects.order_by("code").values_list("code", flat=True))[:2]
    places = [
        *((f"lift-{code.lower()}", f"{code} 1 号梯", "lift", code, "梯媒屏") for code in codes),
        ("locker", "快递柜取件页", "locker", "", "柜柜快递柜"),
        ("payment", "缴费成功页", "payment", "", "安心缴费"),
        ("bill", "月账单", "bill", "", ""),
    ]
    for code, name, kind, building, partner in places:
        title, line, action = touchpoints.WORDING[touchpoints.Kind(kind)]
        words = {"title": title, "line": line, "action": action, "origins": "", "key": ""}
        facts = touchpoints.checked({"name": name, "kind": kind, "building": building, "partner": partner, **words})
        with suppress(touchpoints.NotSaved):  # it hangs there since an earlier start that was cut short
            made = touchpoints.make(code, facts, by=None, now=clock.now())
            if kind == "locker":
                touchpoints.draw(made.pk, first_day=clock.today(), seed="demo", by=None, now=clock.now())


def a_phone() -> int | None:
    """The tenant whose phone is worth a look: who has just heard about their building, or anybody; who signs alone."""
    told = (
        heard()
        .exclude(lease__in=shared())
        .order_by(F("claims").asc(nulls_last=True), "id")
        .values_list("tenant", flat=True)
        .first()
    )
    return told or LeaseTenant.objects.order_by("id").values_list("tenant", flat=True).first()


def two_phones(address: str) -> str:
    """A line with the phones of two who sign together, the first of whom has been asked; none where there are none."""
    over = Lease.objects.filter(renews__isnull=False).values("renews")
    asked = heard().filter(lease__in=shared()).exclude(lease__in=over).order_by("id")
    lease = asked.values_list("lease", flat=True).first()
    both = LeaseTenant.objects.filter(lease=lease).order_by("-is_primary", "id").values_list("tenant", flat=True)
    first, *rest = [f"{address}/phone/{tenant}" for tenant in both] or [""]
    return f"  two phones  {first} {' '.join(rest)}    both have to sign\n" if rest else ""


def heard() -> QuerySet[Message]:
    """Offers that have reached somebody."""
    return Message.objects.filter(klass="marketing", state__in=["accepted", "delivered"])


def shared() -> QuerySet[Lease]:
    """The leases of several."""
    return Lease.objects.annotate(people=Count("tenants")).filter(people__gt=1)


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def leave(signum: int, frame: Any) -> NoReturn:
    sys.exit(0)
