"""Where they live: buildings, flats, units, devices, and what a building announces."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Building(models.Model):
    """楼栋."""

    code = models.CharField(_("code"), max_length=16, unique=True)
    name = models.CharField(_("name"), max_length=80)
    address = models.CharField(_("address"), max_length=200, blank=True)
    latitude = models.FloatField(_("latitude"), null=True)  # degrees, WGS 84
    longitude = models.FloatField(_("longitude"), null=True)
    has_iot = models.BooleanField(_("has IoT"), default=True)

    class Meta:
        verbose_name = _("building")
        verbose_name_plural = _("buildings")

    def __str__(self) -> str:
        return self.name


class Flat(models.Model):
    """套: units that share a kitchen and a living room."""

    building = models.ForeignKey(Building, on_delete=models.PROTECT, related_name="+")
    code = models.CharField(_("code"), max_length=32)

    class Meta:
        verbose_name = _("flat")
        verbose_name_plural = _("flats")
        constraints = [models.UniqueConstraint(fields=["building", "code"], name="flat_once")]

    def __str__(self) -> str:
        return self.code


class Unit(models.Model):
    """房间: what is let."""

    building = models.ForeignKey(Building, on_delete=models.PROTECT, related_name="+")
    flat = models.ForeignKey(Flat, on_delete=models.PROTECT, null=True, related_name="+")
    code = models.CharField(_("code"), max_length=32, unique=True)
    room_type = models.CharField(_("room type"), max_length=32)
    floor = models.SmallIntegerField(_("floor"))
    area = models.DecimalField(_("area (m²)"), max_digits=6, decimal_places=2)
    list_rent = models.DecimalField(_("list rent"), max_digits=10, decimal_places=2)

    class Meta:
        verbose_name = _("unit")
        verbose_name_plural = _("units")
        constraints = [models.CheckConstraint(condition=Q(list_rent__gt=0), name="unit_list_rent_positive")]

    def __str__(self) -> str:
        return self.code


class Device(models.Model):
    """A lock or a meter; it stands for a unit."""

    class What(models.TextChoices):
        LOCK = "lock", _("lock")
        POWER = "power", _("power meter")
        WATER = "water", _("water meter")

    unit = models.ForeignKey(Unit, on_delete=models.CASCADE, related_name="+")
    ref = models.CharField(_("reference"), max_length=64, unique=True)
    what = models.CharField(_("kind"), max_length=8, choices=What.choices)
    # What a meter said last by its own clock: by this it is seen that the clock jumps back. Of locks nothing is kept.
    last_seq = models.BigIntegerField(null=True)
    last_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("device")
        verbose_name_plural = _("devices")

    def __str__(self) -> str:
        return self.ref


class Announcement(models.Model):
    """楼栋公告: a dated fact about a building. A message that claims it dies with it."""

    building = models.ForeignKey(Building, on_delete=models.CASCADE, related_name="+")
    code = models.CharField(_("code"), max_length=32, unique=True)
    topic = models.CharField(_("topic"), max_length=32)
    text = models.CharField(_("text"), max_length=300)
    on = models.DateField(_("date"))
    until = models.DateField(_("shown until"))
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True, blank=True)
    recorded_at = models.DateTimeField()

    class Meta:
        verbose_name = _("building announcement")
        verbose_name_plural = _("building announcements")

    def __str__(self) -> str:
        return self.text
