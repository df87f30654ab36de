"""How many of a perk are kept for somebody."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0001_squashed_0034_roadmap_link")]

    operations = [
        migrations.AddField(
            model_name="perk",
            name="aside",
            field=models.PositiveIntegerField(db_default=0, default=0, verbose_name="kept for signers"),
        ),
    ]
