"""What proves a signature: the words and their hash, the moment, the device, the code, and the paper made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from renewal import agreement, paper
from renewal.models import Paper, Signature
from tenants import access
from tenants.access import Somebody
from tenants.models import Lease


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether what is kept is still what was signed. `paper` is None where no paper was kept (earlier signatures)."""

    text: bool
    paper: bool | None
    text_hash: str  # as counted now, hex
    pdf_hash: str  # as counted now, hex; empty without a paper


def keep_paper(lease: Lease, *, now: datetime) -> Paper:
    """The signed agreement of `lease` is kept as a file, drawn once."""
    pdf = _draw(signatures_of(lease))
    return Paper.objects.create(lease=lease, pdf=pdf, pdf_hash=_sha256(pdf), made_at=now)


def pdf_of(lease: Lease) -> bytes:
    """The signed agreement of `lease`: as it was kept, or drawn now for signatures from before papers were kept."""
    kept = Paper.objects.filter(lease=lease).first()
    return bytes(kept.pdf) if kept else _draw(signatures_of(lease))


def draft_pdf(words: agreement.Agreement) -> bytes:
    """What would be agreed to, marked as a draft."""
    return paper.draw(words.text, text_hash=words.text_hash, version=words.version)


def signatures_of(lease: Lease) -> list[Signature]:
    """The signatures under this lease, in the order in which they were given."""
    return list(
        Signature.objects.filter(lease=lease).select_related("signer", "code__message").order_by("signed_at", "pk")
    )


def check(signature: Signature) -> Verdict:
    """Counts the hashes again from what is kept now."""
    text_hash = _sha256(signature.text.encode())
    kept = Paper.objects.filter(lease=signature.lease_id).first()
    pdf_hash = _sha256(bytes(kept.pdf)) if kept else ""
    return Verdict(
        text=text_hash == signature.text_hash,
        paper=pdf_hash == kept.pdf_hash if kept else None,
        text_hash=text_hash,
        pdf_hash=pdf_hash,
    )


def story(user: Somebody, pk: int, *, today: date) -> dict[str, Any]:
    """All that is kept of one signature, checked now. Raises `Signature.DoesNotExist` for one they may not see."""
    signature = seen_by(user, pk, today=today)
    return {
        "signature": signature,
        "verdict": check(signature),
        "paper": Paper.objects.filter(lease=signature.lease_id).defer("pdf").first(),
        "others": [each for each in signatures_of(signature.lease) if each.pk != signature.pk],
        "phone": agreement.masked(signature.signer.phone),
    }


def seen_by(user: Somebody, pk: int, *, today: date) -> Signature:
    """The signature, for somebody who may see its lease. Raises `Signature.DoesNotExist`."""
    signatures = Signature.objects.select_related(
        "signer", "lease__unit__building", "lease__renews", "proposal__lease__unit", "code__message"
    )
    return signatures.get(pk=pk, lease__in=access.leases_for(user, today=today))


def _draw(signatures: Sequence[Signature]) -> bytes:
    first = signatures[0]
    return paper.draw(
        first.text,
        text_hash=first.text_hash,
        version=first.text_version,
        acceptances=[
            paper.Acceptance(each.signer.name, agreement.masked(each.signer.phone), each.signed_at, each.device)
            for each in signatures
        ],
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
