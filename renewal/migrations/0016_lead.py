from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("renewal", "0015_perks_kept")]

    operations = [
        migrations.AddField(
            model_name="proposal",
            name="lead",
            field=models.JSONField(blank=True, default=dict, verbose_name="lead offer"),
        ),
    ]
