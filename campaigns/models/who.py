"""Whom one speaks to: segments with their versions, and lists of names."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tenants.models import Tenant, User


class Segment(models.Model):
    """客群: the tenants a rule selects."""

    code = models.CharField(_("code"), max_length=32, unique=True)
    name = models.CharField(_("name"), max_length=80)
    rule = models.JSONField(_("rule"))

    class Meta:
        verbose_name = _("segment")
        verbose_name_plural = _("segments")

    def __str__(self) -> str:
        return self.name


class SegmentVersion(models.Model):
    """A rule that a segment has had, from `at` until the next version. Only ever added to: the database sees to it."""

    segment = models.ForeignKey(Segment, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveIntegerField(_("version"))  # 1, 2, …
    rule = models.JSONField(_("rule"))
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("at"))
    note = models.CharField(_("note"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("version of a segment")
        verbose_name_plural = _("versions of segments")
        constraints = [models.UniqueConstraint(fields=["segment", "number"], name="segment_version_once")]

    def __str__(self) -> str:
        return f"{self.segment_id} {self.number}"


class NameList(models.Model):
    """名单: tenants named one by one, for rules to ask about. `campaigns.lists` is its only writer."""

    code = models.CharField(_("code"), max_length=32, unique=True)
    name = models.CharField(_("name"), max_length=80)
    removed_at = models.DateTimeField(_("removed"), null=True)  # no rule that exists stops holding by it

    class Meta:
        verbose_name = _("list of names")
        verbose_name_plural = _("lists of names")
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=Q(removed_at=None), name="name_list_called_once"),
        ]

    def __str__(self) -> str:
        return self.name


class ListChange(models.Model):
    """What somebody did to a list. Only ever added to: the database sees to it."""

    class Kind(models.TextChoices):
        MADE = "made", pgettext_lazy("a list", "made")
        ADDED = "added", pgettext_lazy("a list", "put on it")
        TAKEN = "taken", pgettext_lazy("a list", "taken off it")
        RENAMED = "renamed", pgettext_lazy("a list", "renamed")
        REMOVED = "removed", pgettext_lazy("a list", "removed")
        RESTORED = "restored", pgettext_lazy("a list", "restored")

    list = models.ForeignKey(NameList, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    people = models.PositiveIntegerField(_("people"), default=0)  # how many were put on it or taken off
    before = models.CharField(_("name before"), max_length=80, blank=True)
    after = models.CharField(_("name after"), max_length=80, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("at"))
    undoes = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        verbose_name = _("change of a list")
        verbose_name_plural = _("changes of lists")

    def __str__(self) -> str:
        return f"{self.list_id} {self.kind}"


class Listed(models.Model):
    """A tenant on a list, from the change that put them there until the one that took them off."""

    list = models.ForeignKey(NameList, on_delete=models.PROTECT, related_name="+")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    added = models.ForeignKey(ListChange, on_delete=models.PROTECT, related_name="+")
    taken = models.ForeignKey(ListChange, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        verbose_name = _("tenant on a list")
        verbose_name_plural = _("tenants on lists")
        constraints = [
            models.UniqueConstraint(fields=["list", "tenant"], condition=Q(taken=None), name="listed_once"),
        ]

    def __str__(self) -> str:
        return f"{self.list_id}: {self.tenant_id}"
