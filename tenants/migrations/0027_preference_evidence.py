"""Preferred hours keep their proof as consents do, and their lines can be neither changed nor deleted."""

import django.db.models.deletion
from django.db import migrations, models

UNGUARD_UPDATE = "DROP TRIGGER preference_stands ON tenants_preference; DROP FUNCTION preference_stands();"
GUARD_UPDATE = """
CREATE FUNCTION preference_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a preference is never changed' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER preference_stands BEFORE UPDATE ON tenants_preference
FOR EACH ROW EXECUTE FUNCTION preference_stands();
"""
# The function is of migration 0023: "tenants_preference is only ever added to".
GUARD = """
CREATE TRIGGER consent_ledger_only_grows BEFORE UPDATE OR DELETE ON tenants_preference
FOR EACH ROW EXECUTE FUNCTION consent_ledger_only_grows();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0026_message_indexes'),
    ]

    operations = [
        migrations.RunSQL(UNGUARD_UPDATE, GUARD_UPDATE),
        migrations.AddField(
            model_name='preference',
            name='text',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.consenttext', verbose_name='text'),
        ),
        migrations.AddField(
            model_name='preference',
            name='evidence',
            field=models.JSONField(blank=True, db_default={}, default=dict, verbose_name='evidence'),
        ),
        migrations.AddField(
            model_name='preference',
            name='recorded_at',
            field=models.DateTimeField(null=True),
        ),
        # Until now every line was written down as it was said.
        migrations.RunSQL("UPDATE tenants_preference SET recorded_at = at", migrations.RunSQL.noop),
        migrations.RunSQL("SET CONSTRAINTS ALL IMMEDIATE", migrations.RunSQL.noop),
        migrations.AlterField(
            model_name='preference',
            name='recorded_at',
            field=models.DateTimeField(),
        ),
        migrations.RunSQL(GUARD, "DROP TRIGGER consent_ledger_only_grows ON tenants_preference"),
    ]
