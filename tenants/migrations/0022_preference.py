import django.db.models.deletion
from django.db import migrations, models

# What somebody preferred on a day must be known for good.
GUARD = """
CREATE FUNCTION preference_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a preference is never changed' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER preference_stands BEFORE UPDATE ON tenants_preference
FOR EACH ROW EXECUTE FUNCTION preference_stands();
"""
UNGUARD = "DROP TRIGGER preference_stands ON tenants_preference; DROP FUNCTION preference_stands();"


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0021_holdout'),
    ]

    operations = [
        migrations.CreateModel(
            name='Preference',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('first_hour', models.PositiveSmallIntegerField(null=True, verbose_name='from (hour)')),
                ('end_hour', models.PositiveSmallIntegerField(null=True, verbose_name='until (hour)')),
                ('proof', models.CharField(max_length=200, verbose_name='proof')),
                ('at', models.DateTimeField(verbose_name='at')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
            ],
            options={
                'verbose_name': 'preferred hours',
                'verbose_name_plural': 'preferred hours',
                'indexes': [models.Index(fields=['tenant', 'at'], name='preference_of_tenant')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('end_hour__isnull', True), ('first_hour__isnull', True)), models.Q(('end_hour__lte', 24), ('first_hour__lt', models.F('end_hour'))), _connector='OR'), name='preference_is_a_span')],
            },
        ),
        migrations.RunSQL(GUARD, UNGUARD),
    ]
