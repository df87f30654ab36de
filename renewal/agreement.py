"""The text a tenant agrees to: five plain lines, and the whole of it, in Chinese."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from renewal import offers
from renewal.models import Proposal
from tenants.models import Tenant


@dataclass(frozen=True, slots=True)
class Agreement:
    lines: tuple[tuple[str, str], ...]  # five: (label, plain sentence)
    text: str  # the whole
    text_hash: str  # SHA-256 of `text`, hex


def draft(proposal: Proposal, signer: Tenant, quote: offers.Quote, *, today: date) -> Agreement:
    """What `signer` would agree to today by accepting `quote`; signing on that day stores this very text."""
    raise NotImplementedError
