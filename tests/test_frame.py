import pytest

from tenants import clock
from tests.makers import NOW, make_lease

pytestmark = pytest.mark.django_db


def test_the_clock_runs_on_from_where_it_is_set() -> None:
    clock.set_to(NOW)
    assert clock.now() >= NOW
    assert (clock.now() - NOW).total_seconds() < 5
    assert make_lease().pk
