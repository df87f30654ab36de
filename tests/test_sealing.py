"""Files handed in are kept sealed: an identity number that stands in one is nowhere in the database in plain."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from connectors import runs, sealing
from connectors.models import Upload
from connectors.sources import Unusable
from renewal import quarantine, uploads
from tenants import clock
from tenants.models import Lease
from tests.makers import NOW, make_unit
from tests.test_bad_files import CONTRACT
from tests.test_contract_life import GOOD
from tests.test_uploads import csv_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", str(tmp_path / "data"))
    clock.set_to(NOW)
    make_unit("B1-0301A")


def file(**changes: str) -> bytes:
    row = {**CONTRACT, "身份证号": GOOD, **changes}
    return csv_of(tuple(row), row)


def receive(content: bytes) -> Upload:
    return uploads.receive("contracts", "contracts.csv", content, by="root", now=NOW)


def apply(upload: Upload) -> Upload:
    return uploads.apply(upload.pk, seen=uploads.show(upload, now=NOW).digest, now=NOW)


def database() -> bytes:
    """All that the database holds, bytes as bytes."""
    found = b""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT "{table}"::text FROM "{table}"')
            for (row,) in cursor.fetchall():
                found += row.encode()
        cursor.execute("SELECT content FROM connectors_upload")
        return found + b"".join(bytes(content) for (content,) in cursor.fetchall())


def test_a_number_in_a_kept_file_is_in_no_table_in_plain_and_the_file_is_read_as_ever() -> None:
    content = file()
    upload = apply(receive(content))
    assert Lease.objects.get().contract_no == CONTRACT["合同编号"]
    assert GOOD.encode() in content
    assert GOOD.encode() not in database()
    kept = bytes(Upload.objects.get(pk=upload.pk).content)
    assert sealing.unseal(kept) == content
    # Kept as it came, it would be found: the test looks where it says it looks.
    Upload.objects.update(content=content)
    assert GOOD.encode() in database()


def test_the_same_file_is_sealed_otherwise_each_time_and_recognised_by_its_hash() -> None:
    first, second = receive(file()), receive(file())
    assert bytes(first.content) != bytes(second.content)
    assert uploads.earlier(second) == first


def test_under_another_key_or_changed_it_is_not_opened(settings: Any) -> None:
    upload = receive(file())
    kept = bytes(upload.content)
    for place in (len(sealing.MARK), len(sealing.MARK) + sealing.NONCE, len(kept) - 1):
        with pytest.raises(Unusable):
            sealing.unseal(kept[:place] + bytes([kept[place] ^ 1]) + kept[place + 1 :])
    settings.FILE_KEY = secrets.token_urlsafe(60)
    with pytest.raises(Unusable, match="FILE_KEY"):
        uploads.show(upload, now=NOW)


def test_refused_rows_are_handed_back_though_their_file_cannot_be_opened(settings: Any) -> None:
    apply(receive(file(手机号="138")))
    settings.FILE_KEY = secrets.token_urlsafe(60)
    (found,) = quarantine.hand_back(runs.refusals("contracts"))
    assert found.name == "contracts.xlsx"


def test_what_was_kept_before_files_were_sealed_is_read(tmp_path: Path) -> None:
    upload = receive(file())
    Upload.objects.update(content=file())
    upload.refresh_from_db()
    apply(upload)
    assert Lease.objects.exists()


def test_nothing_stays_nothing() -> None:
    assert sealing.seal(b"") == sealing.unseal(b"") == b""
