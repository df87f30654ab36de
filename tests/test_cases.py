"""Cases go where facts and people put them, by lawful moves, each on record."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from campaigns.models import Push
from renewal import cases
from renewal.models import Case, CaseChange
from tenants.models import Lease, LeaseTenant, Message, Tenant
from tests.makers import NOW, TODAY, first_step, make_event, make_lease, make_playbook, make_tenant, make_unit

pytestmark = pytest.mark.django_db

S = Case.State
# As DOMAIN.md has it: forward along the chain, an answer, an outcome; and back only where a word is taken back.
OUTCOMES = {S.TRANSFERRED, S.MOVED_OUT, S.HOLDOVER, S.ENDED_BY_OPERATOR}
EXPECTED = {
    S.UPCOMING: {S.CONTACTED, S.VIEWED, S.CONSIDERING, S.SIGNED, S.NOTICE, S.DECLINED} | OUTCOMES,
    S.CONTACTED: {S.VIEWED, S.CONSIDERING, S.SIGNED, S.NOTICE, S.DECLINED} | OUTCOMES,
    S.VIEWED: {S.CONSIDERING, S.SIGNED, S.NOTICE, S.DECLINED} | OUTCOMES,
    S.CONSIDERING: {S.SIGNED, S.NOTICE, S.DECLINED} | OUTCOMES,
    S.SIGNED: {S.CONSIDERING},
    S.NOTICE: {S.CONSIDERING, S.TRANSFERRED, S.MOVED_OUT, S.ENDED_BY_OPERATOR},
    S.DECLINED: {S.CONSIDERING, S.NOTICE} | OUTCOMES,
    S.TRANSFERRED: set(),
    S.MOVED_OUT: {S.SIGNED, S.TRANSFERRED},
    S.HOLDOVER: {S.SIGNED, S.TRANSFERRED, S.MOVED_OUT, S.ENDED_BY_OPERATOR},
    S.ENDED_BY_OPERATOR: set(),
}


def make_case(state: str = S.UPCOMING, lease: Lease | None = None, **facts: Any) -> Case:
    lease = lease or make_lease(**facts)
    return Case.objects.create(lease=lease, state=state, since=NOW, opened_at=NOW)


def renewal_of(lease: Lease, **facts: Any) -> Lease:
    facts = {"first_day": lease.last_day + timedelta(days=1), "signed_on": TODAY, "renews": lease, **facts}
    facts.setdefault("last_day", facts["first_day"] + timedelta(days=364))
    unit = facts.pop("unit", lease.unit)
    return make_lease(facts.pop("tenant", None) or lease.tenants.get(), unit, **facts)


def run() -> dict[str, int]:
    """The moves made, without the rules that moved nothing."""
    return {rule: n for rule, n in cases.advance(today=TODAY, now=NOW).items() if n}


def state_of(lease: Lease) -> str:
    return Case.objects.get(lease=lease).state


@pytest.mark.parametrize("was", S)
def test_every_lawful_move_is_made_and_every_other_is_refused_and_changes_nothing(was: Case.State) -> None:
    for to in S:
        case = make_case(was, lease=make_lease())
        if to == was:
            assert cases.move(case, to, now=NOW, cause="again", by="mei").state == was
            assert not CaseChange.objects.filter(case=case).exists()
        elif to in EXPECTED[was]:
            cases.move(case, to, now=NOW + timedelta(hours=1), cause="said so", by="mei")
            case.refresh_from_db()
            assert (case.state, case.since) == (to, NOW + timedelta(hours=1))
            assert list(CaseChange.objects.filter(case=case).values_list("was", "now", "at", "cause", "by")) == [
                (was, to, NOW + timedelta(hours=1), "said so", "mei")
            ]
        else:
            with pytest.raises(cases.UnlawfulMove):
                cases.move(case, to, now=NOW, cause="said so", by="mei")
            case.refresh_from_db()
            assert (case.state, case.since) == (was, NOW)
            assert not CaseChange.objects.filter(case=case).exists()


def test_a_case_opens_ninety_days_before_the_end_and_for_what_ended_just_now_once() -> None:
    days = {make_lease(last_day=TODAY + timedelta(days=n)).pk: n for n in (-61, -60, -1, 0, 89, 90, 91)}
    make_lease(state="void")
    assert cases.open_due(today=TODAY, now=NOW) == 5
    assert sorted(days[lease] for lease in Case.objects.values_list("lease", flat=True)) == [-60, -1, 0, 89, 90]
    assert set(Case.objects.values_list("state", "since")) == {("upcoming", NOW)}
    assert CaseChange.objects.filter(was="", now="upcoming", at=NOW).count() == 5
    assert cases.open_due(today=TODAY, now=NOW) == 0
    assert CaseChange.objects.count() == 5


@pytest.mark.parametrize("was", [S.UPCOMING, S.CONSIDERING, S.HOLDOVER, S.MOVED_OUT])
def test_a_signed_lease_that_renews_another_settles_its_case(was: str) -> None:
    case = make_case(was)
    renewal_of(case.lease)
    assert run() == {"renewed": 1}
    assert state_of(case.lease) == "signed"
    assert run() == {}
    assert CaseChange.objects.get().by == "cases.renewed"


def test_who_signs_after_all_has_taken_the_notice_back_first() -> None:
    case = make_case(S.NOTICE)
    renewal_of(case.lease)
    assert run() == {"reconsidered": 1, "renewed": 1}
    assert list(CaseChange.objects.order_by("pk").values_list("was", "now")) == [
        ("notice", "considering"), ("considering", "signed")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "facts", [{"state": "void"}, {"tenant": "somebody else"}, {"signed_on": TODAY + timedelta(days=1)}]
)
def test_what_is_void_or_not_theirs_or_not_signed_yet_renews_nothing(facts: dict[str, object]) -> None:
    case = make_case(S.VIEWED)
    if facts.get("tenant"):
        facts = {"tenant": make_tenant("somebody else")}
    renewal_of(case.lease, **facts)
    assert run() == {}
    assert state_of(case.lease) == "viewed"


def test_a_renewal_made_void_reopens_the_case() -> None:
    case = make_case()
    next_lease = renewal_of(case.lease)
    run()
    Lease.objects.filter(pk=next_lease.pk).update(state="void")
    assert run() == {"void": 1}
    assert state_of(case.lease) == "considering"


def test_one_of_two_flatmates_is_enough_and_a_merged_tenant_is_the_same_person() -> None:
    case = make_case()
    twin = make_tenant("林晓（公众号）")
    Tenant.objects.filter(pk=twin.pk).update(merged_into=case.lease.tenants.get())
    next_lease = renewal_of(case.lease, tenant=make_tenant("flatmate"))
    LeaseTenant.objects.create(lease=next_lease, tenant=twin, is_primary=False)
    assert run() == {"renewed": 1}


def test_a_contract_that_names_nothing_renews_the_lease_it_follows_within_two_weeks() -> None:
    near, far = make_case(), make_case()
    renewal_of(near.lease, renews=None, first_day=near.lease.last_day + timedelta(days=14))
    renewal_of(far.lease, renews=None, first_day=far.lease.last_day + timedelta(days=15))
    assert run() == {"renewed": 1}
    assert (state_of(near.lease), state_of(far.lease)) == ("signed", "upcoming")


@pytest.mark.parametrize(("gap", "moved"), [(-14, True), (0, True), (14, True), (-15, False), (15, False)])
def test_another_unit_within_two_weeks_of_the_end_is_a_transfer(gap: int, moved: bool) -> None:
    case = make_case()
    renewal_of(case.lease, unit=make_unit(), renews=None, first_day=case.lease.last_day + timedelta(days=gap))
    assert run() == ({"transferred": 1} if moved else {})
    assert state_of(case.lease) == ("transferred" if moved else "upcoming")


def test_a_renewal_that_names_a_lease_of_another_unit_is_a_transfer() -> None:
    case = make_case()
    renewal_of(case.lease, unit=make_unit())
    assert run() == {"transferred": 1}


def test_the_operator_ends_a_lease_and_the_tenant_gives_notice() -> None:
    by_operator = make_case(ended_by="operator")
    by_tenant = make_case(ended_by="tenant", last_day=TODAY)
    assert run() == {"ended_by_operator": 1, "noticed": 1}
    assert (state_of(by_operator.lease), state_of(by_tenant.lease)) == ("ended_by_operator", "notice")


def test_an_accepted_push_is_a_contact_and_a_planned_one_is_not() -> None:
    reached, planned = make_case(), make_case()
    said = first_step(make_playbook())
    for case, sent_at in ((reached, NOW), (planned, None)):
        tenant = case.lease.tenants.get()
        message = Message.objects.create(
            key=f"push:{case.lease_id}", klass="marketing", tenant=tenant, lease=case.lease, channel="phone",
            text="x", not_before=NOW, deadline=NOW + timedelta(days=1), created_at=NOW, changed_at=NOW,
            sent_at=sent_at, state="accepted" if sent_at else "queued",
        )  # fmt: skip
        Push.objects.create(
            lease=case.lease,
            tenant=tenant,
            step=said.step,
            said=said,
            due_on=TODAY,
            created_at=NOW,
            message=message,
            state="handed_over",
        )
    assert run() == {"contacted": 1}
    assert (state_of(reached.lease), state_of(planned.lease)) == ("contacted", "upcoming")


def ended(days_ago: int, state: str = S.VIEWED, **facts: Any) -> Case:
    return make_case(state, last_day=TODAY - timedelta(days=days_ago), **facts)


def test_nobody_has_left_on_the_last_day() -> None:
    case = ended(0, S.NOTICE)
    assert run() == {}
    assert state_of(case.lease) == "notice"


def test_who_gave_notice_has_moved_out_the_day_after() -> None:
    case = ended(1, S.NOTICE)
    assert run() == {"moved_out": 1}
    assert state_of(case.lease) == "moved_out"


def test_a_unit_let_to_somebody_else_is_proof_that_they_left() -> None:
    case = ended(3)
    make_lease(unit=case.lease.unit, first_day=TODAY - timedelta(days=1), last_day=TODAY + timedelta(days=300))
    assert run() == {"moved_out": 1}


def test_a_week_of_silence_after_the_end_is_a_move_and_less_is_none() -> None:
    silent, recent = ended(8), ended(7)
    assert run() == {"moved_out": 1}
    assert (state_of(silent.lease), state_of(recent.lease)) == ("moved_out", "viewed")


@pytest.mark.parametrize(
    ("kind", "data", "stays"),
    [
        ("facility.used", {"facility": "gym"}, True),
        ("ticket.reported", {"ticket": "T1"}, True),
        ("payment.made", {"item": "rent", "due_on": "2025-11-25"}, True),
        ("payment.made", {"item": "rent", "due_on": "2025-11-01"}, False),  # an old debt
        ("payment.made", {"item": "utility", "due_on": "2025-11-25"}, False),  # the last bill
        ("door.opened", {"way": "app"}, False),  # doors are not looked at
    ],
)
def test_who_lives_on_after_the_end_without_a_contract_holds_over(kind: str, data: dict[str, str], stays: bool) -> None:
    case = make_case(S.VIEWED, last_day=date(2025, 11, 20))
    make_event(kind, case.lease.tenants.get(), case.lease.unit, at=NOW - timedelta(days=2), data=data)
    assert run() == ({"holdover": 1} if stays else {"moved_out": 1})


def test_a_holdover_ends_when_the_unit_is_let_or_nothing_is_heard_for_weeks() -> None:
    let, quiet, alive = ended(50, S.HOLDOVER), ended(50, S.HOLDOVER), ended(50, S.HOLDOVER)
    for case, days in ((let, 1), (quiet, 46), (alive, 44)):
        make_event("facility.used", case.lease.tenants.get(), at=NOW - timedelta(days=days))
    make_lease(unit=let.lease.unit, first_day=TODAY, last_day=TODAY + timedelta(days=300))
    assert run() == {"left": 2}
    assert [state_of(case.lease) for case in (let, quiet, alive)] == ["moved_out", "moved_out", "holdover"]
