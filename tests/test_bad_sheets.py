"""Workbooks made to do harm, or damaged: one sentence in less than two seconds, or the rows that are in them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from connectors.models import Refusal, Run
from tenants import clock
from tenants.models import Lease
from tests.makers import NOW, make_unit
from tests.test_bad_files import manage
from tests.workbooks import GOOD, HEADER, MAIN, ROW, cell, page, row, write

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parent.parent
FILES = ROOT / "tests" / "files"
MOST_SECONDS, MOST_MB = 2.0, 200
DAMAGED = "不是可读取的 Excel 工作簿，文件可能已损坏。"
FOREIGN = "含有工作簿里不该有的内容，没有打开。"
TOO_LARGE = "解压后过大，不是正常的表格，没有读取。"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock.set_to(NOW)
    monkeypatch.setenv("DATA", str(tmp_path / "data"))


# --- how each is made -----------------------------------------------------------------------------


def no_sheet(path: Path) -> Path:
    return write(path)


def hidden_sheets(path: Path) -> Path:
    return write(path, GOOD, GOOD, states="hV")


def empty_sheet(path: Path) -> Path:
    return write(path, page())


def locked(path: Path) -> Path:
    path.write_bytes((FILES / f"locked{path.suffix}").read_bytes())
    return path


def html(path: Path) -> Path:
    path.write_text("<html><table><tr><td>合同编号</td></tr></table></html>", encoding="utf-8")
    return path


def csv_file(path: Path) -> Path:
    path.write_text(",".join(HEADER) + "\n" + ",".join(ROW) + "\n", encoding="utf-8")
    return path


def cut(path: Path) -> Path:
    whole = write(path, GOOD).read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    return path


def cut_xls(path: Path) -> Path:
    path.write_bytes((FILES / "libreoffice.xls").read_bytes()[:3000])
    return path


def thousandfold(path: Path) -> Path:
    return write(path, page(row(*HEADER), " " * (90 << 20)))


def told_smaller(path: Path) -> Path:
    """Ninety million bytes that the archive's directory calls a hundred."""
    text = page(row(*HEADER), " " * (90 << 20)).encode()
    content = bytearray(write(path, text.decode()).read_bytes())
    size, small = len(text).to_bytes(4, "little"), (100).to_bytes(4, "little")
    path.write_bytes(bytes(content.replace(size, small)))
    return path


def hundredfold(path: Path) -> Path:
    """More than a hundred million bytes, none of whose parts is suspicious by itself."""
    signs = random.Random(1)
    parts = {f"xl/media/{n}.bin": b"".join(signs.randbytes(600) * 80 for _ in range(450)) for n in range(6)}
    return write(path, GOOD, more=parts)


def many_members(path: Path) -> Path:
    return write(path, GOOD, more={f"xl/media/{n}.png": b"" for n in range(10_000)})


def nested(path: Path) -> Path:
    inner = write(path.with_name("inner.xlsx"), GOOD).read_bytes()
    with zipfile.ZipFile(path, "w") as outer:
        outer.writestr("inner.xlsx", inner)
    return path


def upwards(path: Path) -> Path:
    return write(path, GOOD, more={"../../etc/cron.d/x": b"* * * * * root true"})


def absolute(path: Path) -> Path:
    return write(path, GOOD, more={"/etc/cron.d/x": b"* * * * * root true"})


def symlink(path: Path) -> Path:
    write(path, GOOD)
    link = zipfile.ZipInfo("xl/media/passwd")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(path, "a") as book:
        book.writestr(link, "/etc/passwd")
    return path


def laughs(path: Path) -> Path:
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    text = page(row(*HEADER), row("&a9;").replace("&amp;", "&"), before=f"<!DOCTYPE x [{entities}]>")
    return write(path, text)


def quadratic(path: Path) -> Path:
    before = f'<!DOCTYPE x [<!ENTITY a "{"A" * 100_000}">]>'
    return write(path, page(row("&a;" * 10_000).replace("&amp;", "&"), before=before))


def external(path: Path) -> Path:
    before = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    strings = f'<?xml version="1.0"?>{before}<sst xmlns="{MAIN}"><si><t>&a;</t></si></sst>'
    return write(path, page("<row>" + cell("0", kind="s") + "</row>"), strings=strings)


def doctype(path: Path) -> Path:
    return write(path, page(row(*HEADER), row(*ROW), before='<!DOCTYPE worksheet SYSTEM "http://127.0.0.1/x.dtd">'))


def million_texts(path: Path) -> Path:
    texts = "".join(f"<si><t>{n}</t></si>" for n in range(1_000_000))
    return write(path, GOOD, strings=f'<sst xmlns="{MAIN}">{texts}</sst>')


def long_texts(path: Path) -> Path:
    signs = random.Random(1)
    texts = "".join(f"<si><t>{signs.randbytes(500).hex() * 100}</t></si>" for _ in range(300))
    return write(path, GOOD, strings=f'<sst xmlns="{MAIN}">{texts}</sst>')


def deep(path: Path) -> Path:
    return write(path, page(row(*HEADER), "<x>" * 500_000, "</x>" * 500_000))


def wide(path: Path) -> Path:
    return write(path, page(row(*HEADER), "<row>" + "<c><v>1</v></c>" * 50_000 + "</row>"))


def long(path: Path) -> Path:
    return write(path, page(row(*HEADER), *(row(f"HT{n}", *ROW[1:]) for n in range(20_001))))


def far_right(path: Path) -> Path:
    return write(path, page(row(*HEADER), row(*ROW), row(number=3, cells=cell("x", "XFD3"))))


def far_below(path: Path) -> Path:
    return write(path, page(row(*HEADER), row(*ROW), row(number=1_048_576, cells=cell("x", "A1048576"))))


def no_such_text(path: Path) -> Path:
    return write(path, page(row(*HEADER), "<row>" + cell("7", kind="s") + "</row>"))


def backwards(path: Path) -> Path:
    return write(path, page(row(*HEADER, number=5), row(*ROW, number=2)))


def unclosed(path: Path) -> Path:
    return write(path, GOOD[:-30])


def open_document(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    return path


def twice(path: Path) -> Path:
    return write(path, page(row(*HEADER, "押金"), row(*ROW, "1")))


Make = Callable[[Path], Path]
BAD: dict[str, tuple[Make, str]] = {
    "no-sheet.xlsx": (no_sheet, "里没有可见的工作表。"),
    "hidden-sheets.xlsx": (hidden_sheets, "里没有可见的工作表。"),
    "empty-sheet.xlsx": (empty_sheet, "是空文件。"),
    "locked.xlsx": (locked, "设有密码，请先取消密码。"),
    "locked.xls": (locked, "设有密码，请先取消密码。"),
    "page.xls": (html, "的内容是网页，请用 Excel 或 WPS 打开后另存为 .xlsx。"),
    "table.xls": (csv_file, "的内容是文本，请把扩展名改为 .csv，或用 Excel、WPS 另存为 .xlsx。"),
    "table.xlsx": (csv_file, "的内容是文本，请把扩展名改为 .csv，或用 Excel、WPS 另存为 .xlsx。"),
    "open-document.xlsx": (open_document, "不是行列形式的 Excel 工作簿，请另存为 .xlsx。"),
    "cut.xlsx": (cut, DAMAGED),
    "cut.xls": (cut_xls, DAMAGED),
    "unclosed.xlsx": (unclosed, DAMAGED),
    "no-such-text.xlsx": (no_such_text, DAMAGED),
    "backwards.xlsx": (backwards, DAMAGED),
    "nested.xlsx": (nested, DAMAGED),
    "thousandfold.xlsx": (thousandfold, TOO_LARGE),
    "told-smaller.xlsx": (told_smaller, DAMAGED),
    "hundredfold.xlsx": (hundredfold, TOO_LARGE),
    "many-members.xlsx": (many_members, FOREIGN),
    "upwards.xlsx": (upwards, FOREIGN),
    "absolute.xlsx": (absolute, FOREIGN),
    "symlink.xlsx": (symlink, FOREIGN),
    "laughs.xlsx": (laughs, FOREIGN),
    "quadratic.xlsx": (quadratic, FOREIGN),
    "external.xlsx": (external, FOREIGN),
    "doctype.xlsx": (doctype, FOREIGN),
    "million-texts.xlsx": (million_texts, TOO_LARGE),
    "long-texts.xlsx": (long_texts, TOO_LARGE),
    "deep.xlsx": (deep, TOO_LARGE),
    "wide.xlsx": (wide, DAMAGED),
    "long.xlsx": (long, "超过 20,000 行，请拆分，或另存为 CSV。"),
    "far-right.xlsx": (far_right, "的单元格 XFD3 里有内容，离表格太远，请清空这个单元格。"),
    "far-below.xlsx": (
        far_below,
        "的第 1048576 行有内容，与上方表格相隔 200 多个空行，请清空这一行，或把它上移。",
    ),
    "twice.xlsx": (twice, "的这些列重复了：押金。"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_workbook_is_refused_by_one_sentence_and_changes_nothing(tmp_path: Path, name: str) -> None:
    make, sentence = BAD[name]
    make_unit("B1-0301A")
    path = make(tmp_path / name)
    status, out, err = manage("load", "contracts", path, "--json")
    assert (status, out) == (2, "")
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
    assert not Run.objects.exists()
    assert not Lease.objects.exists()


MEASURE = """
import json, resource, sys
from pathlib import Path
import django
from django.conf import settings
settings.configure(USE_I18N=False)
django.setup()
from connectors.sources import Unusable, sheet
def own():  # the most memory since this program began; ru_maxrss would count that of who started it
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
def spent():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
start = own()
for name in sys.argv[1:]:
    least = None
    for _again in range(3):  # a machine that is busy otherwise can only add to it
        began = spent()
        try:
            rows = sum(1 for _row in sheet.rows(Path(name), "contracts"))
            answer = f"{rows} rows"
        except Unusable as unusable:
            answer = str(unusable)
        least = min(spent() - began, least or 1e9)
        if least < 1:
            break
    grown = own() - start + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps([name, answer, least, grown]))
"""


def test_no_bad_workbook_takes_more_than_two_seconds_or_200_mb_of_both_processes(tmp_path: Path) -> None:
    """Seconds of the processor, so that a busy machine does not make a slow reader or hide one."""
    paths = [make(tmp_path / name) for name, (make, _sentence) in BAD.items()]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, paths)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == len(BAD)
    for name, answer, seconds, grown in told:
        assert Path(name).name in answer
        assert seconds < MOST_SECONDS, (name, seconds)
        assert grown < MOST_MB, (name, grown)  # the most so far, of all that were read before it too


LIFTED = """
import sys
from pathlib import Path
from connectors.sources.workbook import archive, xlsx
if len(sys.argv) > 2:
    archive.RATIO = archive.MOST_BYTES = xlsx.MOST_TEXTS = xlsx.MOST_CHARACTERS = 10**12
try:
    for sheet in xlsx.sheets(sys.argv[1]):
        list(sheet.rows)
except xlsx.Refused:
    pass
print(int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024)
"""


def test_without_the_limits_the_same_workbook_takes_the_memory(tmp_path: Path) -> None:
    """The red twin: what the limits hold back does come out when they are lifted."""
    texts = "".join(f"<si><t>{n:0100}</t></si>" for n in range(900_000))
    path = write(tmp_path / "texts.xlsx", GOOD, strings=f'<sst xmlns="{MAIN}">{texts}</sst>')
    command = [sys.executable, "-c", LIFTED, str(path)]
    held, free = (
        int(subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, check=True).stdout)
        for more in ((), ("lifted",))
    )
    assert held < MOST_MB / 2
    assert free > held + 100


# --- what only looks bad --------------------------------------------------------------------------


def embedded(path: Path) -> Path:
    inner = write(path.with_name("inner.xlsx"), GOOD).read_bytes()
    return write(path, GOOD, more={"xl/embeddings/inner.xlsx": inner})


def macros(path: Path) -> Path:
    return write(path, GOOD, more={"xl/vbaProject.bin": b"\xd0\xcf\x11\xe0 macros that nobody runs"})


def told_small(path: Path) -> Path:
    return write(path, page(row(*HEADER), row(*ROW), dimension="A1:A1"))


def told_large(path: Path) -> Path:
    return write(path, page(row(*HEADER), row(*ROW), dimension="A1:XFD1048576"))


def one_space(path: Path) -> Path:
    return write(path, page(row(*HEADER), row(*ROW), row(number=1_048_576, cells=cell(" ", "XFD1048576"))))


def million_rows(path: Path) -> Path:
    """Rows with a look and nothing in them, as whole formatted columns leave behind."""
    return write(path, page(row(*HEADER), row(*ROW), *(f'<row r="{n}" s="1"/>' for n in range(3, 1_000_000))))


def prefixed(path: Path) -> Path:
    """As some programs write it: every element with a prefix."""
    text = GOOD.replace("<", "<x:").replace("<x:/", "</x:").replace("<x:?", "<?").replace("xmlns=", "xmlns:x=")
    return write(path, text)


HARMLESS: dict[str, Make] = {
    "embedded.xlsx": embedded,
    "macros.xlsm": macros,
    "told-small.xlsx": told_small,
    "told-large.xlsx": told_large,
    "one-space.xlsx": one_space,
    "million-rows.xlsx": million_rows,
    "prefixed.xlsx": prefixed,
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_looks_bad_is_read(tmp_path: Path, name: str) -> None:
    make_unit("B1-0301A")
    path = HARMLESS[name](tmp_path / name)
    status, out, err = manage("load", "contracts", path, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["accepted"] == 1
    assert Lease.objects.get().contract_no == "HT1"


def test_good_rows_beside_a_bad_one_are_in(tmp_path: Path) -> None:
    make_unit("B1-0301A")
    make_unit("B1-0302A")
    bad = ("HT2", "B1-0302A", "欧阳" * 20_000, *ROW[3:])
    good = ("HT3", "B1-0302A", *ROW[2:3], "10000000003", *ROW[4:])
    path = write(tmp_path / "c.xlsx", page(row(*HEADER), row(*ROW), row(*bad), row(*good)))
    status, out, _err = manage("load", "contracts", path, "--json")
    answer = json.loads(out)
    assert (status, answer["accepted"], answer["rejected"]) == (1, 2, 1)
    assert set(Lease.objects.values_list("contract_no", flat=True)) == {"HT1", "HT3"}
    refusal = Refusal.objects.get()
    assert (refusal.line, refusal.column, refusal.reason) == (3, "租客姓名", "租客姓名：超过 80 个字")


def test_a_reader_that_is_killed_is_a_sentence_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")  # ends at once and says nothing
    path = write(tmp_path / "c.xlsx", GOOD)
    status, _out, err = manage("load", "contracts", path)
    assert status == 2
    assert TOO_LARGE in err


def test_the_process_that_reads_has_none_of_our_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spy = tmp_path / "python"
    spy.write_text(f'#!/bin/sh\nenv > "{tmp_path}/env"\n')
    spy.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(spy))
    monkeypatch.setenv("SECRET_KEY", "not-to-be-seen")
    manage("load", "contracts", write(tmp_path / "c.xlsx", GOOD))
    seen = (tmp_path / "env").read_text()
    assert "PYTHONPATH" in seen
    assert "not-to-be-seen" not in seen
    assert "DATABASE_URL" not in seen
    assert os.environ["DATABASE_URL"] not in seen


def test_a_workbook_of_more_than_ten_megabytes_is_refused_unread(tmp_path: Path) -> None:
    path = write(tmp_path / "c.xlsx", GOOD, more={"xl/media/1.png": random.Random(1).randbytes(11 << 20)})
    status, _out, err = manage("load", "contracts", path)
    assert (status, "c.xlsx 超过 10 MB，请拆分，或另存为 CSV。" in err) == (2, True)


def test_a_reader_stops_when_no_more_of_the_file_is_wanted(tmp_path: Path) -> None:
    import psutil

    from connectors.sources import sheet

    path = write(tmp_path / "c.xlsx", page(row(*HEADER), *(row(f"HT{n}", *ROW[1:]) for n in range(15_000))))
    rows = sheet.rows(path, "contracts")
    assert next(iter(rows))[0] == 2
    children = [one for one in psutil.Process().children() if "connectors.sources.workbook" in one.cmdline()]
    assert len(children) == 1
    rows.close()  # type: ignore[attr-defined]
    assert not children[0].is_running()


def test_bytes_that_are_nothing_at_all_never_end_in_a_traceback(tmp_path: Path) -> None:
    """The bytes of a good workbook, some of them changed: a sentence, or rows, but nothing else."""
    signs = random.Random(7)
    whole = (FILES / "libreoffice.xlsx").read_bytes()
    old = (FILES / "libreoffice.xls").read_bytes()
    for n in range(30):
        content = bytearray(whole if n % 2 else old)
        for _ in range(signs.choice([1, 5, 40])):
            content[signs.randrange(len(content))] = signs.randrange(256)
        path = tmp_path / f"{n}.{'xlsx' if n % 2 else 'xls'}"
        path.write_bytes(BytesIO(content).getvalue())
        status, _out, err = manage("load", "contracts", path, "--dry-run")
        assert status in {0, 1, 2}
        assert len(err.splitlines()) <= 1
