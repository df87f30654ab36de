"""The agreement as a PDF: the words that are agreed to, and under them how each tenant said yes.

The same words and acceptances give the same bytes, whenever they are drawn by one version of reportlab.
A subset of the font travels in the file: a machine without Chinese fonts draws it, and any reader shows it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, KeepTogether, Preformatted, SimpleDocTemplate, Spacer, Table

from tenants import clock

FONT = "Agreement"
FONT_FILE = Path(__file__).parent / "fonts" / "agreement.ttf"
NO_GLYPH = "〓"
MARGIN = 24 * mm
PADDING = 6  # a frame of reportlab keeps so many points on each side
WIDTH = A4[0] - 2 * MARGIN
INK, QUIET, LINE = colors.HexColor("#1d2329"), colors.HexColor("#59636e"), colors.HexColor("#e3e0d8")
# Not broken: a number with the unit behind it, a word. No line begins with one of the second, nor ends with the third.
TOKEN = re.compile(r"[0-9][0-9.,:\-]*(?: [元个年月日平层期])?|[A-Za-z][A-Za-z0-9./_\-]*|\s|.")
NEVER_FIRST = "，。；：、！？）》】」”’%…,.;:!?)"
NEVER_LAST = "（《【「“‘("
STYLES = {
    name: ParagraphStyle(name, fontName=FONT, fontSize=size, leading=leading, textColor=ink, **more)
    for name, size, leading, ink, more in (
        ("title", 17, 26, INK, {"spaceAfter": 6 * mm}),
        ("clause", 10.5, 19, INK, {"spaceBefore": 2 * mm}),
        ("row", 10.5, 18, INK, {"leftIndent": 8 * mm}),
        ("head", 12, 20, INK, {"spaceBefore": 6 * mm, "spaceAfter": 2 * mm}),
        ("fact", 9, 14, INK, {}),
        ("label", 9, 14, QUIET, {}),
        ("note", 9, 14, QUIET, {"spaceBefore": 3 * mm}),
    )
}


@dataclass(frozen=True, slots=True)
class Acceptance:
    """How one tenant agreed: by a one-time code sent to the phone on file, at this moment, on this device."""

    name: str
    phone: str  # masked
    at: datetime
    device: str


def draw(text: str, *, text_hash: str, version: str, acceptances: Sequence[Acceptance] = ()) -> bytes:
    """The paper; without acceptances it is marked 草稿 on every page.

    `text` is the whole agreement: its first line is the title, every other line a paragraph, and lines that begin
    with two spaces are set in.
    """
    _font()
    missing: dict[str, None] = {}
    title, *lines = text.rstrip("\n").split("\n")
    story: list[Flowable] = [_lines(title, "title", missing)]
    for line in lines:
        if line.strip():
            story.append(_lines(line.strip(), "row" if line.startswith("  ") else "clause", missing))
    story += _evidence(text_hash, version, acceptances, missing)
    if missing:
        codes = "、".join(f"U+{ord(each):04X}" for each in missing)
        story.append(_lines(f"{NO_GLYPH}：字库中没有的字，依次为 {codes}，以系统保存的文本为准。", "note", {}))
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=MARGIN - PADDING,
        rightMargin=MARGIN - PADDING,
        topMargin=26 * mm,
        bottomMargin=24 * mm,
        title=title,
        author=settings.OPERATOR_NAME,
        subject=f"{version} {text_hash}",
        lang="zh-CN",
        invariant=1,
    )
    document.build(story, canvasmaker=_pages(text_hash, version, is_draft=not acceptances))
    return out.getvalue()


def _evidence(
    text_hash: str, version: str, acceptances: Sequence[Acceptance], missing: dict[str, None]
) -> list[Flowable]:
    facts = [("文本版本", version), ("文本 SHA-256", text_hash)]
    if not acceptances:
        facts.append(("状态", "草稿，尚未签署，仅供阅读"))
        return [KeepTogether([_lines("文本信息", "head", missing), _table(facts, missing)])]
    parts: list[Flowable] = [KeepTogether([_lines("签署凭证", "head", missing), _table(facts, missing)])]
    for each in acceptances:
        signed = [
            ("承租方", each.name),
            ("确认方式", f"发送至预留手机号 {each.phone} 的一次性验证码"),
            ("签署时间", f"{each.at.astimezone(clock.SHANGHAI):%Y-%m-%d %H:%M:%S}（北京时间）"),
            ("签署设备", each.device or "未知"),
        ]
        parts += [Spacer(0, 2 * mm), KeepTogether([_table(signed, missing)])]
    return parts


def _table(facts: Sequence[tuple[str, str]], missing: dict[str, None]) -> Table:
    label = 30 * mm
    rows = [
        [_lines(name, "label", missing), _lines(value, "fact", missing, width=WIDTH - label - 2 * PADDING)]
        for name, value in facts
    ]
    table = Table(rows, colWidths=[label, WIDTH - label], hAlign="LEFT")
    table.setStyle(
        [
            ("LINEBELOW", (0, 0), (-1, -1), 0.5, LINE),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (0, -1), 0),
        ]
    )
    return table


def _lines(text: str, style: str, missing: dict[str, None], *, width: float = WIDTH) -> Preformatted:
    """The text broken into lines of this width, in a block that a page may end within."""
    shape = STYLES[style]
    glyphs = _font().face.charToGlyph
    known = ""
    for each in text:
        if ord(each) in glyphs:
            known += each
        elif each.isprintable():
            missing[each] = None
            known += NO_GLYPH
        else:
            known += " "
    return Preformatted("\n".join(broken(known, shape.fontSize, width - shape.leftIndent)), shape)


def broken(text: str, size: float, width: float) -> list[str]:
    """`text` in lines no wider than `width`: between Chinese characters, but not within a number or before a comma."""
    units: list[str] = []
    for token in TOKEN.findall(text):
        glued = units and (token[0] in NEVER_FIRST or units[-1][-1] in NEVER_LAST)
        if glued:
            units[-1] += token
        elif _width(token, size) > width:
            units += token
        else:
            units.append(token)
    lines = [""]
    for unit in units:
        if lines[-1] and _width(lines[-1] + unit.rstrip(), size) > width:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        lines[-1] += unit.lstrip() if not lines[-1] else unit
    return lines


def _width(text: str, size: float) -> float:
    return float(pdfmetrics.stringWidth(text, FONT, size))


def _pages(text_hash: str, version: str, *, is_draft: bool) -> Any:
    """A canvas that knows, when a page is drawn, how many there are."""

    class Pages(Canvas):
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            self._kept: list[dict[str, Any]] = []

        def showPage(self) -> None:
            self._kept.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for page in self._kept:
                self.__dict__.update(page)
                self._frame(len(self._kept))
                super().showPage()
            super().save()

        def _frame(self, pages: int) -> None:
            self.saveState()
            self.setFont(FONT, 8.5)
            self.setFillColor(QUIET)
            self.drawString(MARGIN, A4[1] - 16 * mm, settings.OPERATOR_NAME)
            self.drawRightString(A4[0] - MARGIN, A4[1] - 16 * mm, "草稿，尚未签署" if is_draft else "已签署")
            self.drawString(MARGIN, 13 * mm, f"{version}　{text_hash[:16]}")
            self.drawRightString(A4[0] - MARGIN, 13 * mm, f"第 {self._pageNumber} 页，共 {pages} 页")
            if is_draft:
                self.setFillColor(colors.Color(0.35, 0.39, 0.43, alpha=0.10))
                self.translate(A4[0] / 2, A4[1] / 2)
                self.rotate(35)
                self.setFont(FONT, 130)
                self.drawCentredString(0, -45, "草稿")
            self.restoreState()

    return Pages


@cache
def _font() -> TTFont:
    font = TTFont(FONT, str(FONT_FILE))
    pdfmetrics.registerFont(font)
    return font
