"""What stands behind the published card: approved bands, and who changed what. A row is decided once."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tenants.models import Building, User


class Seconded(models.Model):
    """Something that one person asks for with a reason, and another decides: renewal/seconding.py."""

    class State(models.TextChoices):
        WAITING = "waiting", pgettext_lazy("band", "waits for a second person")
        STANDING = "standing", pgettext_lazy("band", "approved")
        REFUSED = "refused", pgettext_lazy("band", "refused")
        WITHDRAWN = "withdrawn", pgettext_lazy("band", "withdrawn")

    building = models.ForeignKey(Building, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.WAITING)
    why = models.CharField(_("reason"), max_length=200)
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(_("asked for"))
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(_("decided"), null=True)
    answer = models.CharField(_("answer"), max_length=200, blank=True)

    class Meta:
        abstract = True


class RateBand(Seconded):
    """The lowest and highest monthly rent of a term: asked for by one person, approved by another."""

    room_type = models.CharField(_("room type"), max_length=32)
    term_months = models.PositiveSmallIntegerField(_("term (months)"))
    lowest = models.DecimalField(_("lowest rent"), max_digits=10, decimal_places=2)
    highest = models.DecimalField(_("highest rent"), max_digits=10, decimal_places=2)

    class Meta:
        verbose_name = _("band of rents")
        verbose_name_plural = _("bands of rents")
        constraints = [
            models.UniqueConstraint(
                fields=["building", "room_type", "term_months"], condition=Q(state="waiting"), name="band_waiting_once"
            ),
            models.CheckConstraint(condition=Q(lowest__gt=0, highest__gte=F("lowest")), name="band_window"),
            models.CheckConstraint(
                condition=~Q(state="standing") | Q(decided_by__isnull=False) & ~Q(decided_by=F("asked_by")),
                name="band_second_person",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.room_type} {self.term_months} {self.lowest}–{self.highest}"


class WeekCap(Seconded):
    """So many leases of a room type may end in one week, by what is signed on the letter: renewal/caps.py.

    Without a room type it holds for each type of the building that has no cap of its own; without a number it ends
    the cap that stands.
    """

    room_type = models.CharField(_("room type"), max_length=32, blank=True)
    most = models.PositiveSmallIntegerField(_("leases that may end in a week"), null=True)

    class Meta:
        verbose_name = _("weekly cap of endings")
        verbose_name_plural = _("weekly caps of endings")
        constraints = [
            models.UniqueConstraint(
                fields=["building", "room_type"], condition=Q(state="waiting"), name="week_cap_waiting_once"
            ),
            models.CheckConstraint(condition=Q(most__isnull=True) | Q(most__gte=1), name="week_cap_positive"),
            models.CheckConstraint(
                condition=~Q(state="standing") | Q(decided_by__isnull=False) & ~Q(decided_by=F("asked_by")),
                name="week_cap_second_person",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.room_type} {self.most}"


class RateChange(models.Model):
    """A line of the card that somebody asked for, or a file brought: published at once inside its band, else it waits.

    A line outside its band needs a reason and a second person; the database keeps to that.
    """

    class State(models.TextChoices):
        WAITING = "waiting", pgettext_lazy("published line", "waits for a second person")
        PUBLISHED = "published", pgettext_lazy("published line", "published")
        REFUSED = "refused", pgettext_lazy("published line", "refused")
        WITHDRAWN = "withdrawn", pgettext_lazy("published line", "withdrawn")

    building = models.ForeignKey(Building, on_delete=models.PROTECT, related_name="+")
    room_type = models.CharField(_("room type"), max_length=32)
    term_months = models.PositiveSmallIntegerField(_("term (months)"))
    free_months = models.PositiveSmallIntegerField(_("free months"), default=0)
    monthly_rent = models.DecimalField(_("monthly rent"), max_digits=10, decimal_places=2)
    signed_from = models.DateField(_("signed from"))
    signed_to = models.DateField(_("signed to"))
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.WAITING)
    is_inside = models.BooleanField(_("passed by itself"))
    band = models.ForeignKey(RateBand, on_delete=models.PROTECT, null=True, related_name="+")  # it was measured by
    rate = models.ForeignKey("Rate", on_delete=models.PROTECT, null=True, related_name="+")  # that came of it
    why = models.CharField(_("reason"), max_length=200, blank=True)  # empty: a file brought it
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    asked_at = models.DateTimeField(_("asked for"))
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(_("decided"), null=True)
    answer = models.CharField(_("answer"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("change of the card")
        verbose_name_plural = _("changes of the card")
        constraints = [
            models.UniqueConstraint(
                fields=["building", "room_type", "term_months", "free_months", "signed_from"],
                condition=Q(state="waiting"),
                name="rate_change_waiting_once",
            ),
            models.CheckConstraint(condition=Q(monthly_rent__gt=0), name="rate_change_positive"),
            models.CheckConstraint(condition=Q(signed_to__gte=F("signed_from")), name="rate_change_window"),
            models.CheckConstraint(
                condition=~Q(state="published")
                | Q(is_inside=True)
                | Q(decided_by__isnull=False, asked_by__isnull=False) & ~Q(decided_by=F("asked_by")) & ~Q(why=""),
                name="rate_change_second_person",
            ),
        ]
        indexes = [models.Index(fields=["building", "room_type", "term_months"], name="rate_change_of")]

    def __str__(self) -> str:
        return f"{self.room_type} {self.term_months} {self.monthly_rent}"
