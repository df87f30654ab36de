"""Workbooks written part by part, as no spreadsheet would: for tests of what reads them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
HEADER = ("合同编号", "房源编号", "租客姓名", "手机号", "起租日期", "到期日期", "月租金", "押金")
ROW = ("HT1", "B1-0301A", "林晓", "10000000001", "2025-01-01", "2025-12-31", "3800", "3800")


def cell(value: str, reference: str = "", kind: str = "inlineStr") -> str:
    where = f' r="{reference}"' if reference else ""
    if kind == "inlineStr":
        return f'<c{where} t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
    return f'<c{where} t="{kind}"><v>{escape(value)}</v></c>'


def row(*values: str, number: int | None = None, cells: str = "") -> str:
    where = f' r="{number}"' if number else ""
    return f"<row{where}>{''.join(map(cell, values))}{cells}</row>"


def page(*rows: str, before: str = "", dimension: str = "") -> str:
    extent = f'<dimension ref="{dimension}"/>' if dimension else ""
    data = f"<sheetData>{''.join(rows)}</sheetData>"
    return f'<?xml version="1.0"?>{before}<worksheet xmlns="{MAIN}">{extent}{data}</worksheet>'


GOOD = page(row(*HEADER), row(*ROW))


def write(
    path: Path, *pages: str, strings: str = "", states: str = "", facts: str = "", more: dict[str, bytes] | None = None
) -> Path:
    """A workbook of these sheets; `states` has a letter for each: v(isible), h(idden), V(ery hidden)."""
    names = {"v": "visible", "h": "hidden", "V": "veryHidden"}
    listed = "".join(
        f'<sheet name="S{n}" sheetId="{n}" r:id="rId{n}" state="{names[(states or "v" * len(pages))[n - 1]]}"/>'
        for n in range(1, len(pages) + 1)
    )
    related = "".join(
        f'<Relationship Id="rId{n}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in range(1, len(pages) + 1)
    )
    related += f'<Relationship Id="rIdS" Type="{OFFICE}/sharedStrings" Target="sharedStrings.xml"/>'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{PACKAGE}"><Relationship Id="rId1" Type="{OFFICE}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        book.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">{facts}<sheets>{listed}</sheets></workbook>',
        )
        book.writestr("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{PACKAGE}">{related}</Relationships>')
        for n, text in enumerate(pages, start=1):
            book.writestr(f"xl/worksheets/sheet{n}.xml", text)
        if strings:
            book.writestr("xl/sharedStrings.xml", strings)
        for name, content in (more or {}).items():
            book.writestr(name, content)
    return path
