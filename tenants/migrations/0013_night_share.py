from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0012_feature_repair_views'),
    ]

    operations = [
        migrations.AddField(
            model_name='feature',
            name='night_share_365',
            field=models.FloatField(null=True, verbose_name='share of repairs at night, 365 days'),
        ),
    ]
