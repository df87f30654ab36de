"""How we word it: templates, one per channel, and their versions."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.models.told import Message
from tenants.models.who import User


class Template(models.Model):
    """模板: one wording on one channel. Those of one code say the same on different channels."""

    code = models.CharField(_("code"), max_length=40)
    channel = models.CharField(_("channel"), max_length=16)
    klass = models.CharField(_("class"), max_length=12, choices=Message.Class.choices)  # never changes
    name = models.CharField(_("name"), max_length=80)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("owner"))
    # Offered to no new step from then on; what still names it is sent by it.
    retired_at = models.DateTimeField(_("retired"), null=True)

    class Meta:
        verbose_name = _("template")
        verbose_name_plural = _("templates")
        constraints = [models.UniqueConstraint(fields=["channel", "code"], name="template_once")]

    def __str__(self) -> str:
        return f"{self.channel} {self.code}"


class TemplateVersion(models.Model):
    """What a template has said from `at` on. Only ever added to: the database sees to it.

    The newest one that may be sent counts: on a channel that sends approved templates only, the newest with the
    provider's number.
    """

    template = models.ForeignKey(Template, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveIntegerField(_("version"))  # 1, 2, …
    provider_id = models.CharField(_("the provider's number"), max_length=64, blank=True)  # empty: not approved
    text = models.CharField(_("text"), max_length=500)  # {name} names a field, {door} and {operator} stand fixed
    # [{"name", "value": what fills it, "kind", "most": characters, "fallback"}, …]
    fields = models.JSONField(_("fields"), default=list)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("at"))
    note = models.CharField(_("note"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("version of a template")
        verbose_name_plural = _("versions of templates")
        constraints = [models.UniqueConstraint(fields=["template", "number"], name="template_version_once")]

    def __str__(self) -> str:
        return f"{self.template_id} {self.number}"
