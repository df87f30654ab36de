from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RenewalConfig(AppConfig):
    name = "renewal"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = _("renewal")

    def ready(self) -> None:
        # Registers the system checks; the decorator needs the module imported once.
        import renewal.checks  # noqa: F401
