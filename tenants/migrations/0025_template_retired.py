from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0024_feature_rows_in_place")]
    operations = [
        migrations.AddField("template", "retired_at", models.DateTimeField(null=True, verbose_name="retired")),
    ]
