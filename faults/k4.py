"""K4: the tokens of 200 letters are looked for in everything the house writes down, and find themselves nowhere.

Each letter is read over HTTP from its cover to its signature, with wrong methods, wrong codes, too many looks, a page
that breaks (500) and its token in a query, a fragment, a Referer and a form; links are withdrawn; some go out by a
provider. Then every table and session of the database, every key of Redis, gunicorn's access and error log and
Django's own at DEBUG, and every answer of 4xx and 5xx are searched for every token; browsers leave covers and opened
letters for a server that writes down what they tell it; and no answer may be kept by a cache. The provider's copy is
the message itself, and a cover's form carries the token it was asked for by. The red twin writes logs as they come and
lets browsers tell.
"""

from __future__ import annotations

import io
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

from django.contrib.sessions.models import Session
from django.db import connection
from redis import Redis

from faults import Outcome, house, k1, mail, outcome, readers, web
from tenants import clock, links, outbox
from tenants.models import Message
from tests.letter import digits_of
from tests.makers import NOW, make_building, make_unit

LETTERS, SENT = 200, 20
RED_LETTERS = 5
BROWSERS = 4  # of the letters, so many are left for a page elsewhere
WITHOUT_TOKENS = ("log", "database", "sessions", "redis", "error pages", "referers", "answers that may be kept")


def run(seed: int, share: float) -> Outcome:
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright keeps an event loop in this thread
    readers.begin()
    green = _campaign("K4", max(RED_LETTERS, round(LETTERS * share)), "errors")
    return outcome(*green, red=_campaign("R4", RED_LETTERS, "errors redaction"))


def _campaign(name: str, letters: int, off: str) -> tuple[bool, dict[str, Any]]:
    clock.set_to(NOW)
    building = make_building(name)
    found: Counter[str] = Counter()
    with TemporaryDirectory() as folder:
        broker, log = house.Broker(Path(folder)), Path(folder) / "log"
        try:
            with web.served(off=off, log=log, more={"REDIS_URL": broker.url, "LOG_LEVEL": "DEBUG"}) as site:
                tokens = []
                for number in range(letters):
                    link = readers.letter(unit=make_unit("", building))
                    tokens.append(readers.minted(link))
                    _lived(site, link, tokens[-1], number, found)
                found["referers"] += _left_for_elsewhere(f"http://127.0.0.1:{site.port}", building, tokens)
            found["sent by the provider"] = _sent(building, tokens)
            found["tokens"] = len(tokens)
            found["log"] += _holding(log.read_text(errors="replace"), tokens)
            found["lines of the log"] = log.read_text(errors="replace").count("\n")
            found["redis"] += _holding(_redis(broker), tokens)
            found["database"] += _holding(_database(), tokens)
            found["sessions"] += _holding(_sessions(), tokens)
        finally:
            broker.kill()
    wrong = {f"tokens in: {each}": found[each] for each in WITHOUT_TOKENS}
    seen = ("tokens", "requests", "broken pages", "error pages looked at", "lines of the log", "sent by the provider")
    counts = {each: found[each] for each in seen}
    return not any(wrong.values()) and all(counts.values()), counts | wrong


# --- What is done with a letter -----------------------------------------------------------------------------


def _lived(site: web.Site, link: Any, token: str, number: int, found: Counter[str]) -> None:
    """A letter's whole life, and what may go wrong in it."""
    cookies: dict[str, str] = {"csrftoken": web.CSRF}

    def ask(method: str, path: str, form: dict[str, str] | None = None, **headers: str) -> Any:
        return _ask(site, method, path, form, cookies, headers, token, found)

    ask("GET", f"/r/{token}", referer=f"http://127.0.0.1/r/{token}")
    for method in ("HEAD", "PUT", "OPTIONS", "TRACE", "DELETE"):
        ask(method, f"/r/{token}")
    ask("GET", f"/r/?from=x&token={token}", referer=f"http://127.0.0.1/r/{token}?a=1")
    ask("GET", f"/r/{token}/agreement")
    ask("GET", f"/r/{token}/nothing-here")
    ask("GET", f"/r/once/{token}")
    ask("POST", f"/r/{token}/quote", {"term": token})
    ask("POST", f"/r/{token}/open", {"gesture": "1"})
    ask("GET", "/r/letter/")
    ask("POST", f"/r/{token}/quote", {"term": "12", "free": "0", "perk": "gold"}, accept="application/json")
    ask("GET", f"/r/{token}/agreement")  # breaks: 500
    proposal = readers.proposal_of(link)
    quote = readers.quoted(proposal)
    ask("POST", "/r/letter/code", {"quote": quote, "agree": "1"})
    ask("POST", f"/r/{token}/sign", {"code": token, "quote": quote})
    ask("POST", f"/r/{token}/sign", {"code": digits_of(), "quote": quote})  # breaks: 500
    if number % 5 == 0:
        links.revoke(link.lease, purpose="proposal", now=NOW)
    for path in (f"/r/{token}", f"/r/{token}/done", "/r/letter/", "/r/letter/preferences"):
        ask("GET", path)
    ask("POST", f"/r/{token}/refuse", {})
    ask("GET", f"/r/{token}%00")
    ask("GET", f"/R/{token}")
    ask("GET", f"/t/{token}")


def _ask(
    site: web.Site,
    method: str,
    path: str,
    form: dict[str, str] | None,
    cookies: dict[str, str],
    headers: dict[str, str],
    token: str,
    found: Counter[str],
) -> None:
    caller = HTTPConnection("127.0.0.1", site.port, timeout=60)
    body = urlencode(form | {"csrfmiddlewaretoken": web.CSRF}) if form is not None else None
    sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()), **headers}
    caller.request(method, path, body, sent | {"Content-Type": "application/x-www-form-urlencoded"})
    answer = caller.getresponse()
    text = answer.read().decode(errors="replace")
    for name, value in answer.getheaders():
        if name == "Set-Cookie" and value.startswith("sessionid="):
            cookies["sessionid"] = value.split(";")[0].partition("=")[2]
    caller.close()
    found["requests"] += 1
    found["broken pages"] += answer.status == 500
    if answer.status >= 400:
        found["error pages looked at"] += 1
        found["error pages"] += token in text
    if path.startswith("/r/") and answer.status < 400:
        found["answers that may be kept"] += "no-store" not in answer.getheader("Cache-Control", "")


def _sent(building: Any, tokens: list[str]) -> int:
    """Letters that go out by a provider, whose address is made as they are sent; their tokens are looked for, too."""
    with mail.provider("pager") as service:
        drafts = []
        for _letter in range(SENT):
            link = readers.letter(unit=make_unit("", building))
            key = f"offer:{link.pk}"
            drafts.append(
                outbox.Draft(
                    key=key, klass=Message.Class.MARKETING, text=mail.TEXT, tenant_id=link.tenant_id,
                    lease_id=link.lease_id, deadline=mail.DEADLINE, link_purpose="proposal",
                )
            )  # fmt: skip
        outbox.post_many(drafts, now=NOW)
        mail.drained()
        sent = links.Link.objects.filter(lease__unit__building=building).exclude(carrier__startswith="message:fault:")
        tokens += [links.token_for(each.carrier) for each in sent]
        return min(len(sent), service.counts.arrived.total())


# --- Browsers that go elsewhere -----------------------------------------------------------------------------


def _left_for_elsewhere(address: str, building: Any, tokens: list[str]) -> int:
    """How often a page elsewhere was told a token."""
    mine = [readers.minted(readers.letter(unit=make_unit("", building))) for _letter in range(BROWSERS)]
    tokens += mine
    with _elsewhere() as (there, heard), k1.browser() as chromium:
        for number, token in enumerate(mine):
            context = chromium.new_context(base_url=address, locale="zh-CN")
            page = context.new_page()
            page.goto(f"/r/{token}#{token}")
            if number % 2:
                page.get_by_role("button", name="打开").click()
                page.wait_for_url("**/r/letter/")
            page.evaluate(
                "to => { const a = document.createElement('a'); a.href = to; document.body.append(a); a.click() }",
                there,
            )
            page.wait_for_url(f"{there}**")
            context.close()
        assert len(heard) >= BROWSERS
        return sum(_holding(each, mine) for each in heard)


@contextmanager
def _elsewhere() -> Iterator[tuple[str, list[str]]]:
    heard: list[str] = []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(f"{self.path}\n{self.headers}")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", heard
    finally:
        server.shutdown()
        server.server_close()


# --- Where it is looked for ---------------------------------------------------------------------------------


def _holding(text: str, tokens: list[str]) -> int:
    """How many of the tokens stand in a text, in letters of either case."""
    low = text.lower()
    return sum(token in low for token in tokens)


def _database() -> str:
    """Every row of every table, as PostgreSQL writes it out."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = [row[0] for row in cursor.fetchall()]
        whole = io.StringIO()
        for table in tables:
            cursor.copy_expert(f'COPY public."{table}" TO STDOUT', whole)
    assert len(tables) > 50
    return whole.getvalue()


def _sessions() -> str:
    return "\n".join(str(session.get_decoded()) for session in Session.objects.all())


def _redis(broker: house.Broker) -> str:
    """Every key with what it holds."""
    whole = []
    with Redis(port=broker.port, decode_responses=True, encoding_errors="replace") as redis:
        for key in redis.scan_iter():
            read = {"string": redis.get, "hash": redis.hgetall, "set": redis.smembers}
            kind = redis.type(key)
            value = (
                read[kind](key)
                if kind in read
                else redis.lrange(key, 0, -1)
                if kind == "list"
                else redis.zrange(key, 0, -1)
            )
            whole.append(f"{key} {value}")
    assert whole, "nothing was counted in Redis"
    return "\n".join(whole)
