"""The house keeps its shape: imports run one way, relations do not run back, both languages are complete."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from django.apps import apps
from django.core.management import call_command

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ["connectors", "tenants", "workorders", "campaigns", "renewal"]
LINT = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]


def copy_of_the_house(folder: Path, *, with_templates: bool = False) -> Path:
    for room in [*ROOMS, *(["templates", "locale"] if with_templates else [])]:
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copy(ROOT / "manage.py", folder)
    return folder


def contracts(folder: Path) -> tuple[int, str]:
    done = subprocess.run(LINT, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_the_import_contracts_are_kept(tmp_path: Path) -> None:
    status, said = contracts(copy_of_the_house(tmp_path))
    assert status == 0, said
    assert "4 kept, 0 broken" in said


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("connectors/records.py", "import tenants.clock", "Rooms only look upstream"),
        ("campaigns/models/told.py", "import workorders.models", "Rooms only look upstream"),
        ("renewal/offers.py", "import django.db", "Sums need no framework"),
        ("campaigns/experiments/looks.py", "import django.db", "Sums need no framework"),
        ("renewal/offers.py", "import renewal.tasks", "Nobody calls an edge but the map"),
        ("tenants/clock.py", "import renewal.settings", "Nobody imports the frame"),
    ],
)
def test_each_import_contract_fails_when_it_is_broken(tmp_path: Path, file: str, line: str, contract: str) -> None:
    house = copy_of_the_house(tmp_path)
    with (house / file).open("a") as source:
        source.write(f"\n{line}\n")
    status, said = contracts(house)
    assert status == 1
    assert f"{contract} BROKEN" in said


def test_no_relation_can_be_followed_back() -> None:
    back = [
        f"{model.__name__}.{field.name}"
        for room in ROOMS
        for model in apps.get_app_config(room).get_models()
        for field in model._meta.get_fields()
        if field.is_relation and not field.auto_created and field.model is model and field.concrete
        if not (getattr(field.remote_field, "related_name", None) or "").endswith("+")
        and field.name not in {"groups", "user_permissions"}
    ]
    assert back == []


@pytest.mark.django_db
def test_every_model_change_has_its_migration() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


@pytest.mark.skipif(shutil.which("xgettext") is None, reason="gettext is not installed: the catalogue is not compared")
def test_every_sentence_stands_in_both_languages(tmp_path: Path) -> None:
    house = copy_of_the_house(tmp_path, with_templates=True)
    subprocess.run(
        [sys.executable, "manage.py", "makemessages", "-l", "zh_Hans", "--no-location"],
        cwd=house,
        check=True,
        capture_output=True,
    )
    with (house / "locale/zh_Hans/LC_MESSAGES/django.po").open("rb") as file:
        catalogue = read_po(file, locale="zh_Hans")
    untold = [
        m.id
        for m in catalogue
        if m.id and (m.fuzzy or not (m.string if isinstance(m.string, str) else all(m.string or ())))
    ]
    assert untold == []
