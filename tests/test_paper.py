"""The agreement as a PDF: its words come out again, page by page; the same signature gives the same bytes."""

from __future__ import annotations

import hashlib
import io
import re
from datetime import UTC, datetime
from typing import Any

import pypdf
import pytest
from django.test import Client
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from renewal import agreement, evidence, paper, quotes
from renewal.models import Paper, Signature
from renewal.offers import Choice
from tenants import clock
from tests.letter import make_letter, opened, sign_it
from tests.makers import NOW, TODAY, make_tenant
from tests.test_signing import ask, make_proposal, sign

LONG = "房屋租赁续租协议\n\n" + "\n".join(
    f"{n}. 租金：每月 3,900.00 元，整个租期合计 46,800.00 元（含税）。各期如下：\n"
    f"  第 {n} 期　2025-12-27 至 2026-01-26　3,900.00 元，2025-12-27 或之前支付"
    for n in range(1, 61)
)
ACCEPTED = paper.Acceptance("林晓", "138****1234", datetime(2025, 12, 1, 2, 0, 7, tzinfo=UTC), "Mozilla/5.0 (iPhone)")


def pages(pdf: bytes) -> list[str]:
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages]


def bare(text: str) -> str:
    return re.sub(r"\s", "", text)


def body(pdf: bytes, version: str, text_hash: str) -> str:
    """All words without the head and foot of each page, without white space."""
    whole = ""
    shown = pages(pdf)
    for number, page in enumerate(shown, 1):
        text = bare(page)
        frame = (bare(f"{version} {text_hash[:16]}"), f"第{number}页，共{len(shown)}页")
        for each in frame:
            assert text.count(each) == 1, (number, each)
            text = text.replace(each, "")
        whole += re.sub("^蓝寓|蓝寓(草稿，尚未签署|已签署)(草稿)?$", "", text)
    return whole


def test_every_word_of_a_long_agreement_comes_out_again_across_its_pages() -> None:
    pdf = paper.draw(LONG, text_hash="ab" * 32, version="renewal-1", acceptances=[ACCEPTED])
    assert len(pages(pdf)) == 5
    words = body(pdf, "renewal-1", "ab" * 32)
    assert words.startswith(bare(LONG) + "签署凭证")
    assert words.endswith(
        bare(
            f"文本版本renewal-1 文本 SHA-256{'ab' * 32}承租方林晓确认方式发送至预留手机号 138****1234 的一次性验证码"
            "签署时间2025-12-01 10:00:07（北京时间）签署设备Mozilla/5.0 (iPhone)"
        )
    )
    assert "草稿" not in words


def test_a_draft_says_so_on_every_page_and_has_no_signature() -> None:
    shown = pages(paper.draw(LONG, text_hash="ab" * 32, version="renewal-1"))
    assert len(shown) == 4
    assert all("草稿，尚未签署" in page and page.count("草稿") >= 2 for page in shown)
    assert not any("签署凭证" in page or "已签署" in page for page in shown)


def test_the_font_travels_in_the_file_as_a_subset() -> None:
    pdf = paper.draw(LONG, text_hash="ab" * 32, version="renewal-1")
    fonts = pypdf.PdfReader(io.BytesIO(pdf)).pages[0]["/Resources"]["/Font"]  # type: ignore[index]
    embedded = [font.get_object() for name, font in fonts.items()]
    ours = [font for font in embedded if "AgreementSansSC" in font["/BaseFont"]]
    assert ours
    assert all("/FontFile2" in font["/FontDescriptor"] and re.match(r"/[A-Z]+\+", font["/BaseFont"]) for font in ours)
    assert len(pdf) < 60_000 < paper.FONT_FILE.stat().st_size


def test_a_rare_name_is_named_by_its_code_point_and_an_unseen_sign_leaves_no_trace() -> None:
    text = "房屋租赁续租协议\n\n1. 承租方：王䶮😀（曾用名陳堃），玥。\x07\n"
    words = bare("".join(pages(paper.draw(text, text_hash="0" * 64, version="renewal-1"))))
    assert "王䶮〓（曾用名陳堃），玥。" in words
    assert "依次为U+1F600，" in words
    assert "\x07" not in words


@given(st.text(st.sampled_from("续租协议，。（）“”3900.00元 -:ABab％…"), min_size=1, max_size=120))
def test_lines_lose_no_word_and_fit(text: str) -> None:
    paper._font()
    lines = paper.broken(text, 10.5, 120)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    for line in lines:
        # Only what hangs together may be wider: a mark is never the first of a line.
        assert paper._width(line, 10.5) <= 120 or len(paper.broken(line, 10.5, 120)) == 1


def test_numbers_are_not_broken_and_no_line_begins_with_a_mark() -> None:
    paper._font()
    lines = paper.broken(
        "租金：每月 3,900.00 元，整个租期合计 46,800.00 元（押金 3,800.00 元，不用再交）。" * 5, 10.5, 150
    )
    assert len(lines) > 8
    assert not [line for line in lines if line[0] in paper.NEVER_FIRST or line[-1] in paper.NEVER_LAST]
    numbers = re.findall(r"[0-9,.]+ 元", "|".join(lines))
    assert len(numbers) == 15
    assert set(numbers) == {"3,900.00 元", "46,800.00 元", "3,800.00 元"}


# --- Of a signature ---

pytestmark = pytest.mark.django_db


def test_one_signature_gives_the_same_bytes_and_their_hash_is_kept() -> None:
    proposal = make_proposal()
    token, digits = ask(proposal)
    signature = sign(proposal, token, digits)
    kept = Paper.objects.get()
    assert (kept.lease_id, kept.made_at) == (signature.lease_id, NOW)
    assert kept.pdf_hash == hashlib.sha256(bytes(kept.pdf)).hexdigest()
    assert evidence.pdf_of(signature.lease) == bytes(kept.pdf)
    with translation.override("en"):  # whoever draws it again, on whatever day and in whatever language
        assert evidence._draw(evidence.signatures_of(signature.lease)) == bytes(kept.pdf)
    words = body(bytes(kept.pdf), "renewal-1", signature.text_hash)
    assert words.startswith(bare(signature.text))
    for fact in (
        "出租方：蓝寓", "承租方：林晓", f"{proposal.tenant.phone[:3]}****{proposal.tenant.phone[-4:]}",
        "自2025-12-27起至2026-12-26止，共12个月，首尾两日均计入",
        "每月3,900.00元", "押金：3,800.00元，由原押金转入", "退房交接完成之日起7日内退还",
        "可以扣除的只有未结清的租金和水电费", signature.text_hash, "一次性验证码",
        "2025-12-0110:00:00", "Mozilla/5.0(iPhone)",
    ):  # fmt: skip
        assert fact in words, fact
    assert proposal.tenant.phone not in words


def test_no_paper_without_a_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper is part of the one commit: if it cannot be made, nothing is signed."""

    def fails(*_args: Any, **_more: Any) -> None:
        raise RuntimeError

    proposal = make_proposal()
    token, digits = ask(proposal)
    monkeypatch.setattr(paper, "draw", fails)
    with pytest.raises(RuntimeError):
        sign(proposal, token, digits)
    assert (Signature.objects.count(), Paper.objects.count()) == (0, 0)


def test_the_tenant_takes_a_draft_before_and_the_signed_paper_after(client: Client) -> None:
    clock.set_to(NOW)
    _link, token = make_letter()
    assert client.get("/r/letter/agreement.pdf").status_code == 410
    opened(client, token)
    page = client.get("/r/letter/agreement").content.decode()
    assert 'href="/r/letter/agreement.pdf"' in page
    draft = client.get("/r/letter/agreement.pdf")
    assert (draft.status_code, draft["Content-Type"], draft["Cache-Control"]) == (200, "application/pdf", "no-store")
    assert draft["Content-Disposition"].startswith("attachment; filename")
    assert "草稿，尚未签署" in "".join(pages(draft.content))
    assert not Paper.objects.exists()

    assert sign_it(client)["Location"] == "/r/letter/done"
    assert 'href="/r/letter/agreement.pdf"' in client.get("/r/letter/done").content.decode()
    signed = client.get("/r/letter/agreement.pdf")
    assert hashlib.sha256(signed.content).hexdigest() == Paper.objects.get().pdf_hash
    assert signed.content == client.get("/r/letter/agreement.pdf").content
    assert Client().get("/r/letter/agreement.pdf").status_code == 410  # another browser


def test_the_words_of_a_version_do_not_change() -> None:
    """Whoever changes a word of the agreement gives the words a new name: this hash belongs to `renewal-1`."""
    proposal = make_proposal(tenant=make_tenant("林晓", phone="13800001234"))
    lease = proposal.lease
    lease.contract_no = "HT-1"
    lease.unit.code = "B1-0101"
    quote = quotes.read(ask(proposal, Choice(12, 1))[0], proposal=proposal, now=NOW)
    words = agreement.draft(proposal, proposal.tenant, quote, today=TODAY)
    fixed = words.text.replace(quote.unit, "B1-0101")
    assert (words.version, hashlib.sha256(fixed.encode()).hexdigest()) == (
        "renewal-1",
        "50619154300c291e7192c532cc399c8805570d80b109e0d3a95f4a91479b5b21",
    )
