"""What the codes of the sources are called, in words: the values that a field of an event may have."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Category(models.TextChoices):
    """What a repair is about."""

    WATER = "water", _("water")
    POWER = "power", _("power")
    AIR = "air", _("air conditioning")
    LOCK = "lock", _("door lock")
    NETWORK = "network", _("network")
    PARCEL = "parcel", _("parcel in the wrong locker")
    OTHER = "other", _("other")


# What a technician can put right.
SKILLS = dict(Category.choices) | {Category.WATER: _("plumbing")}
FACILITIES = {
    "gym": _("the gym"),
    "shared_kitchen": _("the shared kitchen"),
    "laundry": _("the laundry"),
    "study": _("the study"),
}
SCREENS = {
    "home": _("the home page"),
    "rent_prices": _("rent prices"),
    "coupons": _("coupons"),
    "bills": _("bills"),
    "repairs": _("repairs"),
    "community": _("the community"),
}
CHANNELS = {
    "app": _("app"),
    "wechat": _("official account"),
    "group": _("WeChat group"),
    "desk": _("front desk"),
    "phone": pgettext_lazy("a channel", "phone"),
}
ITEMS = {"rent": pgettext_lazy("a payment", "rent"), "utility": pgettext_lazy("a payment", "utilities")}
MOODS = {
    "good": pgettext_lazy("a mood", "pleased"),
    "soso": pgettext_lazy("a mood", "so-so"),
    "bad": pgettext_lazy("a mood", "displeased"),
}
