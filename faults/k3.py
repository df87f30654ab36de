"""K3: links that open nothing × every method × every address under /r/, as the router lists them.

Unknown, expired, withdrawn, signed by their reader, of a tenant who moved out, and of a lease that has ended, each in
a browser of nobody's; withdrawn and expired while their letter was open in the browser; and a good link of somebody
else in a browser in which another letter is open. Redirects are followed: in the end stands 404, 410, or 405 where an
address does not know the method; for a ticket the common door; for somebody else's good link its cover, or the code to
their phone, which also leads whoever signed to what they signed. Offers can be refused by whoever holds a link that
has neither expired nor been withdrawn. No answer may hold anything of the tenant, their building, their rent or a
token, and no row may have changed. The red twin believes every link and every browser.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from django.test import Client

from faults import Outcome, outcome, readers
from renewal import covers
from renewal.models import Case
from renewal.urls import letter
from renewal.views import frame
from tenants import clock, links
from tenants.models import Link
from tests.letter import digits_of, hidden, opened, rows
from tests.makers import NOW, make_building, make_tenant, make_unit

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
FORM = {
    "gesture": "1", "term": "12", "free": "0", "code": "000000", "agree": "1", "general": "1", "reason": "rent",
    "tab": "stay", "phone": "10000000000", "hours": "any",
}  # fmt: skip
WAY_IN = {"letter-once"}  # a ticket that is not one leads to the common door
LEADING_NOWHERE = {404, 405, 410}
STILL_GOOD = {"moved_out", "ended_by_operator", "signed", "another's"}  # the link, if not its letter


def run(seed: int, share: float) -> Outcome:
    readers.begin()
    green = _campaign("K3", METHODS)  # the whole of it in any share: it is a table, and a short one
    with ExitStack() as off:
        for target, instead in (
            ("tenants.links.find", _any_link), ("renewal.letters.link_of", _any_open_link),
            ("renewal.covers.find", _any_cover),
            ("renewal.views.frame.has_opened", lambda *_args: True),
            ("renewal.proposals.refuse_if_closed", lambda _lease, **_facts: None),
        ):  # fmt: skip
            off.enter_context(patch(target, instead))
        red = _campaign("R3", ("GET", "POST"))
    return outcome(*green, red=red)


def _any_link(token: str, **_facts: Any) -> Link:
    """The protection off: a link is a link."""
    found = Link.objects.select_related("tenant__merged_into", "lease").filter(token_hash=links.hash_of(token)).first()
    if found is None:
        raise links.Unknown
    return found


def _any_cover(token: str, **_facts: Any) -> covers.Cover:
    link = _any_link(token)
    return covers.Cover(link.pk, is_road=False, building=link.lease.unit.building.name, over="")


def _any_open_link(pk: int, **_facts: Any) -> Link:
    return Link.objects.select_related("tenant__merged_into", "lease__unit__building").get(pk=pk)


# --- The campaign -------------------------------------------------------------------------------------------


def _campaign(house: str, methods: tuple[str, ...]) -> tuple[bool, dict[str, Any]]:
    found: Counter[str] = Counter()
    where: list[str] = []
    for kind, (key, client, link) in _kinds(house):
        before = rows()
        secrets = _secrets(link, key)
        for name, address in _addresses(key):
            for method in methods:
                answers = _asked(client, method, address)
                said = _what_is_wrong(kind, name, key, answers, secrets)
                found["requests"] += 1
                found.update(said)
                where += [f"{kind} {method} {name}: {each} {answers[-1].status_code}" for each in said]
        changed = {table: n for table, n in rows().items() if n != before[table]}
        if kind == "another's" and changed.keys() <= {"Click", "Message", "DoorCode", "CaseChange"}:
            changed = {}
        found["links"] += 1
        found["wrong: rows changed"] += bool(changed)
        where += [f"{kind}: {changed}"] if changed else []
    wrong = {f"wrong: {each}": found[f"wrong: {each}"] for each in
             ("leaks", "another status", "answers of 5xx", "rows changed")}  # fmt: skip
    counts = {"links": found["links"], "addresses": len(letter), "methods": len(methods), "requests": found["requests"]}
    return not any(wrong.values()), {**counts, **wrong, "where": where[:20]}


def _kinds(house: str) -> Iterator[tuple[str, tuple[str, Client, Link]]]:
    """Name, the key in its addresses, the browser, and the link whose secrets are at stake."""
    building = make_building(house, name=f"蓝寓{house}店")

    def one() -> tuple[str, Link]:
        link = readers.letter(unit=make_unit("", building), tenant=make_tenant(f"欧阳{house}"))
        return readers.minted(link), link

    def browser() -> Client:
        return Client(SERVER_NAME="127.0.0.1", raise_request_exception=False)

    token, link = one()
    yield "unknown", ("b" * 26, browser(), link)
    Link.objects.filter(pk=link.pk).update(expires_at=NOW)
    yield "expired", (token, browser(), link)
    token, link = one()
    links.revoke(link.lease, purpose="proposal", now=NOW)
    yield "withdrawn", (token, browser(), link)
    for state in ("moved_out", "ended_by_operator"):  # notice may be taken back, so its letter opens
        token, link = one()
        Case.objects.filter(lease=link.lease).update(state=state)
        yield state, (token, browser(), link)
    token, link = one()
    _sign(browser(), token)
    yield "signed", (token, browser(), link)
    for end in ("withdrawn", "expired"):
        token, link = one()
        client = browser()
        opened(client, token)
        if end == "withdrawn":
            links.revoke(link.lease, purpose="proposal", now=NOW)
        else:
            Link.objects.filter(pk=link.pk).update(expires_at=NOW)
        yield f"{end} while open", (frame.READ_AT, client, link)
        yield f"{end} while open, by its token", (token, client, link)
    token, link = one()
    opened(browser(), token)  # on its reader's own phone
    mine, client = one()[0], browser()
    opened(client, mine)
    yield "another's", (token, client, link)


def _sign(client: Client, token: str) -> None:
    opened(client, token)
    client.post("/r/letter/code", {"quote": hidden(client.get("/r/letter/agreement"), "quote"), "agree": "1"})
    assert client.post("/r/letter/sign", {"code": digits_of()})["Location"] == "/r/letter/done"
    clock.set_to(NOW + timedelta(minutes=2))


def _addresses(key: str) -> Iterator[tuple[str, str]]:
    for pattern in letter:
        route = str(pattern.pattern)
        if "<" in route:
            assert re.fullmatch(r"[^<]*<str:(key|token)>[^<]*", route), f"what is tried at {route}?"
            yield str(pattern.name), "/r/" + re.sub("<[^>]*>", key, route)


def _asked(client: Client, method: str, address: str) -> list[Any]:
    """The answer, and those of the pages that it leads to."""
    data = {"data": FORM} if method == "POST" else {}
    ask = getattr(client, method.lower())
    answers = [ask(address, **data)]
    while answers[-1].status_code in {301, 302, 303} and len(answers) < 5:
        answers.append(client.get(answers[-1]["Location"]))
    return answers


def _secrets(link: Link, key: str) -> list[str]:
    lease = link.lease
    tokens = [readers.minted(link)] if key != readers.minted(link) else []
    facts = [link.tenant.name, link.tenant.phone, lease.contract_no, lease.unit.code, lease.unit.building.name]
    return [*facts, *tokens, "3900", "3,900", "3800", "3,800", "4,170", "朝南"]


def _what_is_wrong(kind: str, name: str, key: str, answers: list[Any], secrets: list[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    last = answers[-1]
    place = last.request["PATH_INFO"]
    found["wrong: answers of 5xx"] += any(answer.status_code >= 500 for answer in answers)
    whole = [f"{answer.headers}{answer.content.decode(errors='replace')}" for answer in answers]
    if kind == "another's":
        # Whoever holds a good link sees its cover, with the name of the house, and may have a code sent to its reader.
        secrets = [each for each in secrets if "蓝寓" not in each]
        fits = last.status_code in LEADING_NOWHERE or place in {f"/r/{key}", "/r/confirm", "/r/"}
    else:
        fits = last.status_code in LEADING_NOWHERE or (name in WAY_IN and place == "/r/")
        fits |= kind == "signed" and place == "/r/confirm"
    fits |= name == "letter-refuse" and kind in STILL_GOOD and place == f"/r/{key}/refuse"
    found["wrong: leaks"] += any(secret in text for secret in secrets for text in whole)
    found["wrong: another status"] += not fits
    return +found
