from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0011_after_repairs'),
    ]

    operations = [
        migrations.AddField(
            model_name='feature',
            name='repair_views_90',
            field=models.PositiveIntegerField(default=0, verbose_name='repair pages seen, 90 days'),
        ),
    ]
