from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("campaigns", "0009_step_templates"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="push",
            index=models.Index(fields=["-created_at", "-id"], name="push_decided"),
        ),
    ]
