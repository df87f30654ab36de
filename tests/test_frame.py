import pytest
from django.core.management import call_command

from tenants import clock
from tests.makers import NOW, make_lease

pytestmark = pytest.mark.django_db


def test_every_model_change_has_its_migration() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_the_clock_runs_on_from_where_it_is_set() -> None:
    clock.set_to(NOW)
    assert NOW <= clock.now() and (clock.now() - NOW).total_seconds() < 5
    assert make_lease().pk
