"""Several who sign one agreement: the terms that the first one fixed, and a seat for each of them."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from renewal.models.renewing import Code, Proposal
from tenants.models import Lease, Tenant, Unit


class Round(models.Model):
    """The terms that wait for everybody's yes. While it is open the room, the price and the perk are kept."""

    class State(models.TextChoices):
        OPEN = "open", pgettext_lazy("signing", "waiting for signatures")
        SIGNED = "signed", pgettext_lazy("signing", "signed by all")
        REFUSED = "refused", pgettext_lazy("signing", "one of them does not agree")
        LAPSED = "lapsed", pgettext_lazy("signing", "the time ran out")
        WITHDRAWN = "withdrawn", pgettext_lazy("signing", "taken back by a signer")
        BROKEN = "broken", pgettext_lazy("signing", "the room or the lease was no longer free")

    class Sealing(models.TextChoices):
        """How far the e-sign provider is with it, where one is set (renewal/sealing.py)."""

        NONE = "", "–"
        WANTED = "wanted", _("to be handed over")
        SIGNING = "signing", _("to be signed at the provider")
        OVER = "over", _("over at the provider")

    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="+")
    lease = models.ForeignKey(Lease, on_delete=models.PROTECT, related_name="+")  # the one that ends
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="+")  # the one agreed on
    quote = models.JSONField(_("quote"))
    lines = models.JSONField()  # the five plain lines, [label, words]
    text = models.TextField(_("agreement"))
    text_version = models.CharField(_("text version"), max_length=32)
    text_hash = models.CharField(max_length=64)  # SHA-256, hex
    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.OPEN)
    opened_at = models.DateTimeField(_("opened"))
    deadline = models.DateTimeField(_("deadline"))
    closed_at = models.DateTimeField(_("closed"), null=True)
    closed_by = models.ForeignKey(Tenant, on_delete=models.PROTECT, null=True, related_name="+")
    because = models.CharField(_("reason"), max_length=200, blank=True)
    sealing = models.CharField(_("e-sign"), max_length=8, choices=Sealing.choices, blank=True)
    sealing_at = models.DateTimeField(null=True)  # when it was wanted, or the provider last heard of
    sealing_trouble = models.CharField(_("trouble at the provider"), max_length=200, blank=True)
    flow = models.CharField(_("flow at the provider"), max_length=64, blank=True)

    class Meta:
        verbose_name = _("signing by several")
        verbose_name_plural = _("signings by several")
        constraints = [
            models.UniqueConstraint(fields=["lease"], condition=Q(state="open"), name="round_of_lease_once"),
            models.UniqueConstraint(fields=["unit"], condition=Q(state="open"), name="round_of_unit_once"),
            models.UniqueConstraint(fields=["flow"], condition=~Q(flow=""), name="round_of_flow_once"),
        ]

    def __str__(self) -> str:
        return f"#{self.lease_id} {self.get_state_display()}"


class Seat(models.Model):
    """One who has to sign in a round; with the evidence of their yes, once they gave it."""

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="+")
    signer = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    code = models.OneToOneField(Code, on_delete=models.PROTECT, null=True, related_name="+")
    device = models.CharField(_("device"), max_length=300, blank=True)
    address = models.GenericIPAddressField(_("IP address"), null=True)
    signed_at = models.DateTimeField(_("signed"), null=True)

    class Meta:
        verbose_name = _("seat in a signing")
        verbose_name_plural = _("seats in a signing")
        constraints = [models.UniqueConstraint(fields=["round", "signer"], name="seat_once")]

    def __str__(self) -> str:
        return f"{self.round_id} {self.signer_id}"
