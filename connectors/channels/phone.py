"""The simulated phone of the demo and of tests. Like a good provider it knows a key once and can be asked."""

from __future__ import annotations

from django.conf import settings

from connectors.channels import Answer, Envelope, Outcome
from connectors.models import PhoneMessage


class Phone:
    """Stores what it is sent where the page of the phone reads it."""

    name = "phone"

    def send(self, envelope: Envelope) -> Answer:
        if not envelope.address:
            return Answer(Outcome.FAILED, detail="no number")
        row, _new = PhoneMessage.objects.get_or_create(
            key=envelope.key,
            defaults={
                "address": envelope.address,
                "sender": settings.OPERATOR_NAME,
                "text": envelope.text,
                "url": envelope.url,
                "received_at": envelope.sent_at,
            },
        )
        return Answer(Outcome.ACCEPTED, ref=str(row.pk))

    def find(self, key: str) -> Answer:
        row = PhoneMessage.objects.filter(key=key).first()
        return Answer(Outcome.ACCEPTED, ref=str(row.pk)) if row else Answer(Outcome.NOT_SENT)
