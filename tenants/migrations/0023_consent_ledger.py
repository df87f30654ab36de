"""The consent ledger only grows: the database refuses to change or delete a line, whoever asks."""

import django.db.models.deletion
from django.db import migrations, models


GUARD = """
CREATE FUNCTION consent_ledger_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is only ever added to', TG_TABLE_NAME USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER consent_ledger_only_grows BEFORE UPDATE OR DELETE ON tenants_consent
    FOR EACH ROW EXECUTE FUNCTION consent_ledger_only_grows();
CREATE TRIGGER consent_ledger_only_grows BEFORE UPDATE OR DELETE ON tenants_consenttext
    FOR EACH ROW EXECUTE FUNCTION consent_ledger_only_grows();
CREATE TRIGGER consent_ledger_only_grows BEFORE UPDATE OR DELETE ON tenants_generalchoice
    FOR EACH ROW EXECUTE FUNCTION consent_ledger_only_grows();
"""
UNGUARD = """
DROP TRIGGER consent_ledger_only_grows ON tenants_consent;
DROP TRIGGER consent_ledger_only_grows ON tenants_consenttext;
DROP TRIGGER consent_ledger_only_grows ON tenants_generalchoice;
DROP FUNCTION consent_ledger_only_grows();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0022_preference'),
    ]

    operations = [
        migrations.CreateModel(
            name='ConsentText',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(max_length=64, unique=True)),
                ('version', models.CharField(max_length=32, verbose_name='text version')),
                ('text', models.TextField(verbose_name='text')),
                ('recorded_at', models.DateTimeField(verbose_name='first shown')),
            ],
            options={
                'verbose_name': 'text of a consent',
                'verbose_name_plural': 'texts of consents',
            },
        ),
        migrations.AddField(
            model_name='consent',
            name='evidence',
            field=models.JSONField(blank=True, db_default={}, default=dict, verbose_name='evidence'),
        ),
        migrations.AddField(
            model_name='consent',
            name='text',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.consenttext', verbose_name='text'),
        ),
        migrations.RunSQL(GUARD, UNGUARD),
    ]
