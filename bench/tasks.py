"""One Celery task a push, as many do it, for `bench.outbox` to be compared with: early acknowledgement, over Redis.

It does what a push costs at least there: a row read, a call, a row written before it and one after.
"""

from __future__ import annotations

import json
import os

import django
from celery import Celery

from connectors.http import Way

django.setup()

from tenants.models import Message  # noqa: E402 - a worker starts here, before Django does
from tests.makers import NOW  # noqa: E402

app = Celery("bench", broker=os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/15")
app.conf.update(
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
    # A queue of this run's own: what an earlier one left behind is not measured.
    task_default_queue=os.environ.setdefault("BENCH_QUEUE", f"bench-{os.getpid()}"),
)
way = Way()


@app.task(name="push")
def push(message: int) -> None:
    """The message has been handed to the provider and marked."""
    row = Message.objects.select_related("tenant").get(pk=message)
    told = {"key": row.key, "to": row.tenant.phone if row.tenant else "", "text": row.text}
    Message.objects.filter(pk=message, state="queued").update(state="sending", lease_until=NOW, changed_at=NOW)
    body = json.dumps(told, ensure_ascii=False).encode()
    reply = way.call("POST", os.environ["PAGER_URL"] + "/send", body=body)
    Message.objects.filter(pk=message).update(state="accepted", sent_at=NOW, reason=str(reply.status))
