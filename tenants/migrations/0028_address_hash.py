from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0027_preference_evidence'),
    ]

    operations = [
        migrations.AddField(
            model_name='attempt',
            name='address_hash',
            field=models.CharField(blank=True, db_default='', max_length=64),
        ),
        migrations.AddField(
            model_name='receipt',
            name='address_hash',
            field=models.CharField(blank=True, db_default='', max_length=64),
        ),
    ]
