"""What was asked of a letter's addresses: how often, and with which answer."""

from django.db import models

from tenants.models import Link


class Repeat(models.Model):
    """A request to sign with its key, and the answer it got: said again, it gets the same (renewal/repeats.py)."""

    link = models.ForeignKey(Link, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=64)
    request_hash = models.CharField(max_length=64)  # HMAC-SHA256, hex: a plain hash of six digits is soon guessed
    at = models.DateTimeField()
    claimed_until = models.DateTimeField()  # while nothing is answered: whoever was at it until then has died
    status = models.PositiveSmallIntegerField(null=True)
    location = models.CharField(max_length=200, blank=True)
    body = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["link", "key"], name="repeat_once")]
        indexes = [models.Index(fields=["at"], name="repeat_at")]

    def __str__(self) -> str:
        return f"{self.link_id} {self.at:%Y-%m-%d}"


class Tally(models.Model):
    """How often something was done with a link in a span of time (renewal/throttles.py)."""

    link = models.ForeignKey(Link, on_delete=models.CASCADE, related_name="+")
    act = models.CharField(max_length=8)
    since = models.DateTimeField()
    n = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["link", "act"], name="tally_once")]

    def __str__(self) -> str:
        return f"{self.link_id} {self.act} {self.n}"
