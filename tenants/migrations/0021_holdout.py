from django.db import migrations, models

# Who was held out on a day must be known for good.
GUARD = """
CREATE FUNCTION holdout_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a line of the holdout is never changed' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER holdout_stands BEFORE UPDATE OR DELETE ON tenants_holdout
FOR EACH ROW EXECUTE FUNCTION holdout_stands();
"""
UNGUARD = "DROP TRIGGER holdout_stands ON tenants_holdout; DROP FUNCTION holdout_stands();"


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0020_template'),
    ]

    operations = [
        migrations.CreateModel(
            name='Holdout',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('salt', models.CharField(max_length=32)),
                ('percent', models.PositiveSmallIntegerField(verbose_name='of households, by lot (%)')),
                ('at', models.DateTimeField(verbose_name='at')),
            ],
            options={
                'verbose_name': 'holdout',
                'verbose_name_plural': 'holdouts',
                'constraints': [models.CheckConstraint(condition=models.Q(('percent__lte', 100)), name='holdout_percent')],
            },
        ),
        migrations.RunSQL(GUARD, UNGUARD),
    ]
