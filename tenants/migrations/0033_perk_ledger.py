"""The ledger of perks holds its answers, too, and only grows: the database refuses to change or delete a line."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from tenants.vouchers import derive, hash_of

# A delete by TRUNCATE is for tests alone; a line is otherwise there for good.
GUARD = """
CREATE FUNCTION perk_ledger_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is only ever added to', TG_TABLE_NAME USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER perk_ledger_only_grows BEFORE UPDATE OR DELETE ON tenants_grant
    FOR EACH ROW EXECUTE FUNCTION perk_ledger_only_grows();
CREATE TRIGGER perk_ledger_only_grows BEFORE UPDATE OR DELETE ON tenants_perkchange
    FOR EACH ROW EXECUTE FUNCTION perk_ledger_only_grows();
"""
UNGUARD = """
DROP TRIGGER perk_ledger_only_grows ON tenants_grant;
DROP TRIGGER perk_ledger_only_grows ON tenants_perkchange;
DROP FUNCTION perk_ledger_only_grows();
"""
HOLD_BY_THEMSELVES = ("care_line", "first_choice")


def fill(apps, editor):
    """What was given before has the cost of today, and a voucher where its perk is redeemed by one."""
    perk, grant = apps.get_model("tenants", "Perk"), apps.get_model("tenants", "Grant")
    perk.objects.filter(code__in=HOLD_BY_THEMSELVES).update(has_voucher=False)
    perk.objects.filter(code__in=["cleaning", "homestay"]).update(valid_days=365)
    for line in grant.objects.select_related("perk").iterator():
        line.cost = line.perk.cost
        line.voucher_hash = hash_of(derive(line.key)) if line.perk.has_voucher else ""
        line.save(update_fields=["cost", "voucher_hash"])


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0032_promotion'),
    ]

    operations = [
        migrations.CreateModel(
            name='PerkChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('changes', models.JSONField(default=dict)),
                ('added', models.IntegerField(default=0)),
                ('why', models.CharField(blank=True, max_length=200, verbose_name='reason')),
                ('at', models.DateTimeField(verbose_name='at')),
            ],
            options={
                'verbose_name': 'change of a perk',
                'verbose_name_plural': 'changes of perks',
            },
        ),
        migrations.RemoveConstraint(
            model_name='grant',
            name='grant_is_something',
        ),
        migrations.AddField(
            model_name='grant',
            name='cost',
            field=models.DecimalField(db_default=0, decimal_places=2, default=0, max_digits=10, verbose_name='cost'),
        ),
        migrations.AddField(
            model_name='grant',
            name='kind',
            field=models.CharField(choices=[('granted', 'granted'), ('redeemed', 'redeemed'), ('revoked', 'revoked'), ('reversed', 'reversed')], db_default='granted', default='granted', max_length=8, verbose_name='kind'),
        ),
        migrations.AddField(
            model_name='grant',
            name='number',
            field=models.PositiveSmallIntegerField(db_default=0, default=0, verbose_name='number'),
        ),
        migrations.AddField(
            model_name='grant',
            name='of',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.grant'),
        ),
        migrations.AddField(
            model_name='grant',
            name='voucher_hash',
            field=models.CharField(blank=True, db_default='', max_length=64),
        ),
        migrations.AddField(
            model_name='perk',
            name='budget',
            field=models.DecimalField(blank=True, decimal_places=2, max_digits=12, null=True, verbose_name='budget'),
        ),
        migrations.AddField(
            model_name='perk',
            name='has_voucher',
            field=models.BooleanField(db_default=True, default=True, verbose_name='redeemed by a voucher'),
        ),
        migrations.AddField(
            model_name='perk',
            name='offered_from',
            field=models.DateField(blank=True, null=True, verbose_name='given from'),
        ),
        migrations.AddField(
            model_name='perk',
            name='offered_to',
            field=models.DateField(blank=True, null=True, verbose_name='given until'),
        ),
        migrations.AddField(
            model_name='perk',
            name='partner',
            field=models.CharField(blank=True, db_default='', max_length=80, verbose_name='partner'),
        ),
        migrations.AddField(
            model_name='perk',
            name='valid_days',
            field=models.PositiveSmallIntegerField(blank=True, null=True, verbose_name='valid for (days)'),
        ),
        migrations.AddConstraint(
            model_name='grant',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'granted'), ('number', 0), ('of', None), ('quantity', 1)), models.Q(('kind', 'redeemed'), ('number__gte', 1), ('of__isnull', False), ('quantity', 0)), models.Q(('kind', 'revoked'), ('number__gte', 1), ('of__isnull', False), ('quantity', -1)), models.Q(('kind', 'reversed'), ('number__gte', 2), ('of__isnull', False), ('quantity__in', [0, 1])), _connector='OR'), name='grant_is_of_its_kind'),
        ),
        migrations.AddConstraint(
            model_name='grant',
            constraint=models.CheckConstraint(condition=models.Q(('kind', 'granted'), models.Q(('kind__in', ['redeemed', 'revoked']), ('number__in', range(1, 100, 2))), models.Q(('kind', 'reversed'), ('number__in', range(2, 100, 2))), _connector='OR'), name='grant_closes_and_reverses_by_turns'),
        ),
        migrations.AddConstraint(
            model_name='grant',
            constraint=models.UniqueConstraint(condition=models.Q(('of__isnull', False)), fields=('of', 'number'), name='grant_answered_once'),
        ),
        migrations.AddConstraint(
            model_name='grant',
            constraint=models.UniqueConstraint(condition=models.Q(('voucher_hash', ''), _negated=True), fields=('voucher_hash',), name='grant_voucher_once'),
        ),
        migrations.AddConstraint(
            model_name='perk',
            constraint=models.CheckConstraint(condition=models.Q(('cost__gte', 0)), name='perk_cost_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='perk',
            constraint=models.CheckConstraint(condition=models.Q(('budget', None), ('budget__gte', 0), _connector='OR'), name='perk_budget_not_negative'),
        ),
        migrations.AddField(
            model_name='perkchange',
            name='by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='perkchange',
            name='perk',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.perk'),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
        migrations.RunSQL(GUARD, UNGUARD),
    ]
