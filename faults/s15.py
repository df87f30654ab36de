"""S15: receipts come three times each, in reverse, before our own mark, for messages nobody knows, and forged.

A state never goes back and no forged word is taken. The red twin takes every receipt at its word.
"""

from __future__ import annotations

import json
import random
from typing import Any

from django.db import connection
from django.test import Client

from faults import mail
from tenants import clock, outbox
from tenants.models import Message, Receipt
from tenants.outbox import receipts
from tests import pager
from tests.makers import NOW

MESSAGES = 1000
FINAL = {"delivered", "undelivered"}


def run(seed: int, share: float) -> dict[str, Any]:
    """The campaign, or a share of it: {"held", "counts", "red": {"held", "counts"}}."""
    green = _campaign(seed, round(MESSAGES * share))
    mail.without_guards()
    trusting = receipts.MOVE.replace("AND m.state IN ('accepted', 'unknown')", "")
    with mail.off("tenants.outbox.receipts.MOVE", trusting), mail.off("tests.pager.signature", lambda _body: "x"):
        red = _campaign(seed, 60)
    mail.with_guards()
    return {**green, "red": red}


def _campaign(seed: int, n: int) -> dict[str, Any]:
    clock.set_to(NOW)
    dice = random.Random(seed)
    client = Client(SERVER_NAME="127.0.0.1")
    back = forged_taken = forged = 0
    with mail.provider("pager", seed=seed):
        everybody = mail.people(n)
        mail.offers(everybody, deadline=mail.DEADLINE)
        truth = {one.pk: dice.choice(["delivered", "undelivered", "delivered"]) for one in everybody}
        early = [_say(pk, said) for pk, said in truth.items() if dice.random() < 0.3]
        _report(client, early)
        outbox.drain(now=NOW, limit=n)
        stood: dict[str, str] = {}
        told = [_say(pk, said) for pk, said in truth.items() for _time in range(3)]
        # Against what was said: a provider that changes its mind after a delivery.
        told += [_say(pk, "undelivered", "late") for pk, said in truth.items() if said == "delivered"][: n // 3]
        told += [{"outcome": "delivered", "ref": f"nobody-{i}"} for i in range(n // 10)]
        later, told = told[3 * n :], told[: 3 * n]
        dice.shuffle(told)
        for some in (*_chunks(list(reversed(told))), *_chunks(later)):
            _report(client, some)
            for key, state in Message.objects.values_list("key", "state"):
                back += stood.get(key) in FINAL and state != stood[key]
                stood[key] = state
            if dice.random() < 0.5:
                forged += 1
                forged_taken += _report(client, [{"outcome": "undelivered", "key": told[0]["key"]}], forge=True) == 200
        wrong = sum(stood[f"offer:{pk}"] != said for pk, said in truth.items())
    counts = {
        "messages": n,
        "receipts": len(early) + len(told) + len(later),
        "kept": Receipt.objects.count(),
        "states that went back": back,
        "states that are wrong": wrong,
        "forged": forged,
        "forged taken": forged_taken,
    }
    connection.close()
    return {"held": not (back or wrong or forged_taken), "counts": counts}


def _say(tenant: int, outcome: str, detail: str = "") -> dict[str, str]:
    return {"outcome": outcome, "key": f"offer:{tenant}", "detail": detail}


def _chunks(said: list[dict[str, str]]) -> list[list[dict[str, str]]]:
    return [said[at : at + 200] for at in range(0, len(said), 200)]


def _report(client: Client, said: list[dict[str, str]], *, forge: bool = False) -> int:
    body = json.dumps(said).encode()
    signed = "x" if forge else pager.signature(body)
    answer = client.post("/api/receipts/pager", body, content_type="application/json", headers={"X-Signature": signed})
    return answer.status_code
