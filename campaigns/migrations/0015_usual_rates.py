from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('campaigns', '0014_general_wording'),
    ]

    operations = [
        migrations.AddField(
            model_name='experiment',
            name='usual',
            field=models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict, verbose_name='usual rates'),
        ),
    ]
