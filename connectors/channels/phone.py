"""The simulated phone of the demo and of tests. Like a good provider it knows a key once and can be asked."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.utils.translation import gettext_lazy

from connectors.channels import Answer, Channel, Envelope, Outcome, Reach
from connectors.models import PhoneMessage


class Phone(Channel):
    """Stores what it is sent where the page of the phone reads it."""

    name = "phone"
    title = gettext_lazy("simulated phone")
    reaches = Reach.PHONE
    carries = frozenset({"marketing", "service", "code", "staff"})
    patience = timedelta(hours=1)
    senders = 0  # it writes to our own database: sent where it was claimed

    def send(self, envelope: Envelope) -> Answer:
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

    def find(self, envelope: Envelope) -> Answer:
        row = PhoneMessage.objects.filter(key=envelope.key).first()
        return Answer(Outcome.ACCEPTED, ref=str(row.pk)) if row else Answer(Outcome.NOT_SENT)
