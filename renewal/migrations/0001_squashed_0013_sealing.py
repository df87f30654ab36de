"""The tables, and a fact on a case, which stands: the database refuses to change it."""

import datetime
import django.contrib.postgres.constraints
import django.db.models.deletion
import django.db.models.expressions
import renewal.models.held
import tenants.models.leased
from django.conf import settings
from django.db import migrations, models

# Who said something else later said it later.
FACTS = """
create function renewal_fact_stands() returns trigger language plpgsql as $$
begin raise exception 'a fact on a case is never changed'; end $$;
create trigger renewal_fact_stands before update on renewal_fact for each row execute function renewal_fact_stands();
"""
FACTS_OFF = """
DROP TRIGGER renewal_fact_stands ON renewal_fact;
DROP FUNCTION renewal_fact_stands();
"""


class Migration(migrations.Migration):

    initial = True

    replaces = [
        ("renewal", "0001_initial"),
        ("renewal", "0002_initial"),
        ("renewal", "0003_door_code"),
        ("renewal", "0004_rehearsal"),
        ("renewal", "0005_answers"),
        ("renewal", "0006_paper"),
        ("renewal", "0007_hold"),
        ("renewal", "0008_bands"),
        ("renewal", "0009_throttles_and_repeats"),
        ("renewal", "0010_rounds"),
        ("renewal", "0011_batches"),
        ("renewal", "0012_spoken"),
        ("renewal", "0013_sealing"),
    ]

    dependencies = [
        ('tenants', '0001_squashed_0034_roadmap_link'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Batch',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('asked', models.JSONField(verbose_name='asked')),
                ('change_percent', models.PositiveSmallIntegerField(verbose_name='largest change that passes, %')),
                ('card', models.JSONField(verbose_name='rate card')),
                ('forecast', models.JSONField(verbose_name='forecast')),
                ('why', models.CharField(blank=True, max_length=200, verbose_name='reason')),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('at', models.DateTimeField(verbose_name='at')),
            ],
            options={
                'verbose_name': 'batch of proposals',
                'verbose_name_plural': 'batches of proposals',
            },
        ),
        migrations.CreateModel(
            name='Case',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('lease', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.lease')),
                ('state', models.CharField(choices=[('upcoming', 'upcoming'), ('contacted', 'contacted'), ('viewed', 'viewed'), ('considering', 'considering'), ('signed', 'renewed'), ('notice', 'notice given'), ('declined', 'declined'), ('transferred', 'transferred'), ('moved_out', 'moved out'), ('holdover', 'holdover'), ('ended_by_operator', 'ended by the operator')], default='upcoming', max_length=20, verbose_name='state')),
                ('since', models.DateTimeField(verbose_name='since')),
                ('opened_at', models.DateTimeField(verbose_name='opened')),
            ],
            options={
                'verbose_name': 'renewal case',
                'verbose_name_plural': 'renewal cases',
                'indexes': [models.Index(fields=['state'], name='case_state')],
            },
        ),
        migrations.CreateModel(
            name='CaseChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='renewal.case')),
                ('was', models.CharField(blank=True, max_length=20, verbose_name='was')),
                ('now', models.CharField(max_length=20, verbose_name='now')),
                ('at', models.DateTimeField(verbose_name='at')),
                ('cause', models.CharField(max_length=200, verbose_name='cause')),
                ('by', models.CharField(max_length=80, verbose_name='by')),
            ],
            options={
                'verbose_name': 'change of a case',
                'verbose_name_plural': 'changes of cases',
                'indexes': [models.Index(fields=['case', 'at'], name='case_change_at')],
            },
        ),
        migrations.CreateModel(
            name='DoorCode',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('phone_hash', models.CharField(max_length=64)),
                ('number', models.PositiveIntegerField()),
                ('message', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.message')),
                ('asked_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('tries', models.PositiveSmallIntegerField(default=0)),
                ('used_at', models.DateTimeField(null=True)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('phone_hash', 'number'), name='door_code_once')],
            },
        ),
        migrations.CreateModel(
            name='Errand',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='renewal.case')),
                ('kind', models.CharField(choices=[('call', 'call the tenant'), ('room', 'look for another room'), ('clash', 'settle who gets the room')], max_length=8, verbose_name='kind')),
                ('why', models.CharField(max_length=200, verbose_name='why')),
                ('opened_at', models.DateTimeField(verbose_name='opened')),
                ('done_at', models.DateTimeField(null=True, verbose_name='done')),
                ('done_by', models.CharField(blank=True, max_length=80, verbose_name='done by')),
                ('outcome', models.CharField(blank=True, max_length=200, verbose_name='what came of it')),
            ],
            options={
                'verbose_name': 'errand of a case',
                'verbose_name_plural': 'errands of cases',
                'constraints': [models.UniqueConstraint(condition=models.Q(('done_at__isnull', True)), fields=('case', 'kind'), name='errand_once_open')],
            },
        ),
        migrations.CreateModel(
            name='Fact',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='renewal.case')),
                ('kind', models.CharField(choices=[('intent', 'intent'), ('reminder', 'reminder'), ('wish', 'wish for another room'), ('note', 'note'), ('word', 'verbal yes')], max_length=12, verbose_name='kind')),
                ('said', models.JSONField(verbose_name='said')),
                ('at', models.DateTimeField(verbose_name='at')),
                ('by', models.CharField(max_length=80, verbose_name='by')),
            ],
            options={
                'verbose_name': 'fact on a case',
                'verbose_name_plural': 'facts on cases',
                'indexes': [models.Index(fields=['case', 'kind', 'at'], name='case_fact_at')],
            },
        ),
        migrations.CreateModel(
            name='FilingTask',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('lease', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.lease')),
                ('due_on', models.DateField(verbose_name='due on')),
                ('state', models.CharField(choices=[('todo', 'to file'), ('done', 'filed')], default='todo', max_length=8, verbose_name='state')),
                ('done_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('created_at', models.DateTimeField(verbose_name='created')),
            ],
            options={
                'verbose_name': 'filing task',
                'verbose_name_plural': 'filing tasks',
            },
        ),
        migrations.CreateModel(
            name='KpiDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField(verbose_name='day')),
                ('building', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.building')),
                ('figures', models.JSONField(verbose_name='figures')),
                ('computed_at', models.DateTimeField(verbose_name='computed')),
            ],
            options={
                'verbose_name': 'figures of a day',
                'verbose_name_plural': 'figures of days',
                'constraints': [models.UniqueConstraint(fields=('day', 'building'), name='kpi_day_once', nulls_distinct=False)],
            },
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='renewal.case')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
                ('only_them', models.BooleanField(default=False, verbose_name='the others stay')),
                ('reason', models.CharField(blank=True, choices=[('work', 'my work or my school moves'), ('bought', 'I have bought a home'), ('rent', 'The rent'), ('room', 'I would like another kind of room'), ('service', 'The service'), ('family', 'My family or my household changes'), ('other', 'Something else')], max_length=12, verbose_name='reason')),
                ('more', models.CharField(blank=True, max_length=200, verbose_name='in their words')),
                ('last_day', models.DateField(verbose_name='planned last day')),
                ('forwarding', models.BinaryField(default=b'')),
                ('given_at', models.DateTimeField(verbose_name='given')),
                ('given_by', models.CharField(max_length=80, verbose_name='by')),
                ('window_ends_at', models.DateTimeField(verbose_name='may be withdrawn until')),
                ('confirmed_at', models.DateTimeField(null=True, verbose_name='confirmed')),
                ('confirmed_by', models.CharField(blank=True, max_length=80, verbose_name='confirmed by')),
                ('withdrawn_at', models.DateTimeField(null=True, verbose_name='withdrawn')),
                ('withdrawn_by', models.CharField(blank=True, max_length=80, verbose_name='withdrawn by')),
            ],
            options={
                'verbose_name': 'notice to leave',
                'verbose_name_plural': 'notices to leave',
                'constraints': [models.UniqueConstraint(condition=models.Q(('withdrawn_at__isnull', True)), fields=('case', 'tenant'), name='notice_once_at_a_time')],
            },
        ),
        migrations.CreateModel(
            name='Paper',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('lease', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.lease')),
                ('pdf', models.BinaryField()),
                ('pdf_hash', models.CharField(max_length=64)),
                ('made_at', models.DateTimeField(verbose_name='made')),
            ],
            options={
                'verbose_name': 'signed agreement',
                'verbose_name_plural': 'signed agreements',
            },
        ),
        migrations.CreateModel(
            name='Proposal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('lease', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.lease')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
                ('story', models.JSONField(verbose_name='story')),
                ('card', models.JSONField(verbose_name='rate card')),
                ('prepared_on', models.DateField(verbose_name='prepared on')),
                ('prepared_at', models.DateTimeField(verbose_name='prepared')),
                ('opened_at', models.DateTimeField(null=True, verbose_name='first opened')),
            ],
            options={
                'verbose_name': 'renewal proposal',
                'verbose_name_plural': 'renewal proposals',
                'constraints': [models.UniqueConstraint(fields=('lease', 'tenant'), name='proposal_once')],
            },
        ),
        migrations.CreateModel(
            name='Hold',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('proposal', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='renewal.proposal')),
                ('unit', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.unit')),
                ('taken_at', models.DateTimeField(verbose_name='taken')),
                ('until', models.DateTimeField(verbose_name='kept until')),
                ('why_over', models.CharField(blank=True, choices=[('', 'by itself'), ('other', 'another choice'), ('signed', 'signed'), ('answered', 'another answer')], max_length=8, verbose_name='how it ended')),
            ],
            options={
                'verbose_name': 'hold of a room',
                'verbose_name_plural': 'holds of rooms',
                'constraints': [django.contrib.postgres.constraints.ExclusionConstraint(expressions=[(tenants.models.leased.SelfRange('unit_id', 'unit_id', models.Value('[]')), '&&'), (renewal.models.held.MomentRange('taken_at', 'until'), '&&')], name='hold_of_a_room_once'), django.contrib.postgres.constraints.ExclusionConstraint(expressions=[(tenants.models.leased.SelfRange('proposal_id', 'proposal_id', models.Value('[]')), '&&'), (renewal.models.held.MomentRange('taken_at', 'until'), '&&')], name='hold_of_a_proposal_once'), models.CheckConstraint(condition=models.Q(('until__gte', models.F('taken_at'))), name='hold_forwards'), models.CheckConstraint(condition=models.Q(('until__lte', django.db.models.expressions.CombinedExpression(models.F('taken_at'), '+', models.Value(datetime.timedelta(seconds=7200))))), name='hold_not_for_ever')],
            },
        ),
        migrations.CreateModel(
            name='Code',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('proposal', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='renewal.proposal')),
                ('signer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('number', models.PositiveIntegerField()),
                ('message', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.message')),
                ('asked_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('tries', models.PositiveSmallIntegerField(default=0)),
                ('used_at', models.DateTimeField(null=True)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('proposal', 'signer', 'number'), name='code_once')],
            },
        ),
        migrations.CreateModel(
            name='Rate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('building', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.building')),
                ('room_type', models.CharField(max_length=32, verbose_name='room type')),
                ('term_months', models.PositiveSmallIntegerField(verbose_name='term (months)')),
                ('free_months', models.PositiveSmallIntegerField(default=0, verbose_name='free months')),
                ('monthly_rent', models.DecimalField(decimal_places=2, max_digits=10, verbose_name='monthly rent')),
                ('signed_from', models.DateField(verbose_name='signed from')),
                ('signed_to', models.DateField(verbose_name='signed to')),
                ('recorded_at', models.DateTimeField()),
            ],
            options={
                'verbose_name': 'published rent',
                'verbose_name_plural': 'published rents',
                'constraints': [models.UniqueConstraint(fields=('building', 'room_type', 'term_months', 'free_months', 'signed_from'), name='rate_once'), models.CheckConstraint(condition=models.Q(('monthly_rent__gt', 0)), name='rate_positive'), models.CheckConstraint(condition=models.Q(('signed_to__gte', models.F('signed_from'))), name='rate_window')],
            },
        ),
        migrations.CreateModel(
            name='RateBand',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('building', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.building')),
                ('room_type', models.CharField(max_length=32, verbose_name='room type')),
                ('term_months', models.PositiveSmallIntegerField(verbose_name='term (months)')),
                ('lowest', models.DecimalField(decimal_places=2, max_digits=10, verbose_name='lowest rent')),
                ('highest', models.DecimalField(decimal_places=2, max_digits=10, verbose_name='highest rent')),
                ('state', models.CharField(choices=[('waiting', 'waits for a second person'), ('standing', 'approved'), ('refused', 'refused'), ('withdrawn', 'withdrawn')], default='waiting', max_length=10, verbose_name='state')),
                ('why', models.CharField(max_length=200, verbose_name='reason')),
                ('asked_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('asked_at', models.DateTimeField(verbose_name='asked for')),
                ('decided_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('decided_at', models.DateTimeField(null=True, verbose_name='decided')),
                ('answer', models.CharField(blank=True, max_length=200, verbose_name='answer')),
            ],
            options={
                'verbose_name': 'band of rents',
                'verbose_name_plural': 'bands of rents',
                'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'waiting')), fields=('building', 'room_type', 'term_months'), name='band_waiting_once'), models.CheckConstraint(condition=models.Q(('highest__gte', models.F('lowest')), ('lowest__gt', 0)), name='band_window'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'standing'), _negated=True), models.Q(('decided_by__isnull', False), models.Q(('decided_by', models.F('asked_by')), _negated=True)), _connector='OR'), name='band_second_person')],
            },
        ),
        migrations.CreateModel(
            name='BatchLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('batch', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='renewal.batch')),
                ('lease', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.lease')),
                ('verdict', models.CharField(choices=[('approved', 'approved'), ('held', 'held back')], max_length=10, verbose_name='decision')),
                ('rent_today', models.DecimalField(decimal_places=2, max_digits=10, verbose_name='monthly rent')),
                ('rate', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='renewal.rate')),
                ('band', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='renewal.rateband')),
                ('reasons', models.JSONField(default=list, verbose_name='reasons')),
                ('released_at', models.DateTimeField(null=True, verbose_name='released')),
                ('released_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'lease of a batch',
                'verbose_name_plural': 'leases of batches',
                'constraints': [models.UniqueConstraint(fields=('batch', 'lease'), name='batch_lease_once'), models.UniqueConstraint(condition=models.Q(('released_at', None), ('verdict', 'held')), fields=('lease',), name='batch_held_once')],
            },
        ),
        migrations.CreateModel(
            name='RateChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('building', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.building')),
                ('room_type', models.CharField(max_length=32, verbose_name='room type')),
                ('term_months', models.PositiveSmallIntegerField(verbose_name='term (months)')),
                ('free_months', models.PositiveSmallIntegerField(default=0, verbose_name='free months')),
                ('monthly_rent', models.DecimalField(decimal_places=2, max_digits=10, verbose_name='monthly rent')),
                ('signed_from', models.DateField(verbose_name='signed from')),
                ('signed_to', models.DateField(verbose_name='signed to')),
                ('state', models.CharField(choices=[('waiting', 'waits for a second person'), ('published', 'published'), ('refused', 'refused'), ('withdrawn', 'withdrawn')], default='waiting', max_length=10, verbose_name='state')),
                ('is_inside', models.BooleanField(verbose_name='passed by itself')),
                ('band', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='renewal.rateband')),
                ('rate', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='renewal.rate')),
                ('why', models.CharField(blank=True, max_length=200, verbose_name='reason')),
                ('asked_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('asked_at', models.DateTimeField(verbose_name='asked for')),
                ('decided_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('decided_at', models.DateTimeField(null=True, verbose_name='decided')),
                ('answer', models.CharField(blank=True, max_length=200, verbose_name='answer')),
            ],
            options={
                'verbose_name': 'change of the card',
                'verbose_name_plural': 'changes of the card',
                'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'waiting')), fields=('building', 'room_type', 'term_months', 'free_months', 'signed_from'), name='rate_change_waiting_once'), models.CheckConstraint(condition=models.Q(('monthly_rent__gt', 0)), name='rate_change_positive'), models.CheckConstraint(condition=models.Q(('signed_to__gte', models.F('signed_from'))), name='rate_change_window'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'published'), _negated=True), ('is_inside', True), models.Q(('asked_by__isnull', False), ('decided_by__isnull', False), models.Q(('decided_by', models.F('asked_by')), _negated=True), models.Q(('why', ''), _negated=True)), _connector='OR'), name='rate_change_second_person')],
                'indexes': [models.Index(fields=['building', 'room_type', 'term_months'], name='rate_change_of')],
            },
        ),
        migrations.CreateModel(
            name='Rehearsal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('back', 'back-test'), ('ahead', 'dry run')], max_length=8, verbose_name='kind')),
                ('asked', models.JSONField(verbose_name='asked')),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('asked_at', models.DateTimeField(verbose_name='asked for')),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('running', 'running'), ('done', 'done'), ('failed', 'failed'), ('cancelled', 'cancelled')], default='waiting', max_length=10, verbose_name='state')),
                ('done', models.PositiveIntegerField(default=0, verbose_name='days done')),
                ('total', models.PositiveIntegerField(default=0, verbose_name='days in all')),
                ('seen_at', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True, verbose_name='finished')),
                ('error', models.TextField(blank=True, verbose_name='error')),
                ('result', models.JSONField(null=True, verbose_name='result')),
            ],
            options={
                'verbose_name': 'rehearsal',
                'verbose_name_plural': 'rehearsals',
                'indexes': [models.Index(fields=['asked_at'], name='rehearsal_asked_at')],
            },
        ),
        migrations.CreateModel(
            name='RehearsedPush',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rehearsal', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='renewal.rehearsal')),
                ('on', models.DateField(verbose_name='on')),
                ('lease', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.lease')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('playbook', models.CharField(max_length=32, verbose_name='playbook')),
                ('step', models.CharField(max_length=40, verbose_name='step')),
                ('due_on', models.DateField(verbose_name='due on')),
                ('would', models.JSONField(null=True)),
                ('really', models.JSONField(null=True)),
                ('is_same', models.BooleanField(default=True)),
                ('why', models.CharField(blank=True, max_length=300, verbose_name='why')),
            ],
            options={
                'verbose_name': 'rehearsed push',
                'verbose_name_plural': 'rehearsed pushes',
                'indexes': [models.Index(fields=['rehearsal', 'on'], name='rehearsed_push_on')],
            },
        ),
        migrations.CreateModel(
            name='Repeat',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('link', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.link')),
                ('key', models.CharField(max_length=64)),
                ('request_hash', models.CharField(max_length=64)),
                ('at', models.DateTimeField()),
                ('claimed_until', models.DateTimeField()),
                ('status', models.PositiveSmallIntegerField(null=True)),
                ('location', models.CharField(blank=True, max_length=200)),
                ('body', models.TextField(blank=True)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('link', 'key'), name='repeat_once')],
                'indexes': [models.Index(fields=['at'], name='repeat_at')],
            },
        ),
        migrations.CreateModel(
            name='Round',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('proposal', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='renewal.proposal')),
                ('lease', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.lease')),
                ('unit', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.unit')),
                ('quote', models.JSONField(verbose_name='quote')),
                ('lines', models.JSONField()),
                ('text', models.TextField(verbose_name='agreement')),
                ('text_version', models.CharField(max_length=32, verbose_name='text version')),
                ('text_hash', models.CharField(max_length=64)),
                ('state', models.CharField(choices=[('open', 'waiting for signatures'), ('signed', 'signed by all'), ('refused', 'one of them does not agree'), ('lapsed', 'the time ran out'), ('withdrawn', 'taken back by a signer'), ('broken', 'the room or the lease was no longer free')], default='open', max_length=12, verbose_name='state')),
                ('opened_at', models.DateTimeField(verbose_name='opened')),
                ('deadline', models.DateTimeField(verbose_name='deadline')),
                ('closed_at', models.DateTimeField(null=True, verbose_name='closed')),
                ('closed_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
                ('because', models.CharField(blank=True, max_length=200, verbose_name='reason')),
                ('sealing', models.CharField(blank=True, choices=[('', '–'), ('wanted', 'to be handed over'), ('signing', 'to be signed at the provider'), ('over', 'over at the provider')], max_length=8, verbose_name='e-sign')),
                ('sealing_at', models.DateTimeField(null=True)),
                ('sealing_trouble', models.CharField(blank=True, max_length=200, verbose_name='trouble at the provider')),
                ('flow', models.CharField(blank=True, max_length=64, verbose_name='flow at the provider')),
            ],
            options={
                'verbose_name': 'signing by several',
                'verbose_name_plural': 'signings by several',
                'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'open')), fields=('lease',), name='round_of_lease_once'), models.UniqueConstraint(condition=models.Q(('state', 'open')), fields=('unit',), name='round_of_unit_once'), models.UniqueConstraint(condition=models.Q(('flow', ''), _negated=True), fields=('flow',), name='round_of_flow_once')],
            },
        ),
        migrations.CreateModel(
            name='Seat',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('round', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='renewal.round')),
                ('signer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
                ('code', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='renewal.code')),
                ('device', models.CharField(blank=True, max_length=300, verbose_name='device')),
                ('address', models.GenericIPAddressField(null=True, verbose_name='IP address')),
                ('signed_at', models.DateTimeField(null=True, verbose_name='signed')),
            ],
            options={
                'verbose_name': 'seat in a signing',
                'verbose_name_plural': 'seats in a signing',
                'constraints': [models.UniqueConstraint(fields=('round', 'signer'), name='seat_once')],
            },
        ),
        migrations.CreateModel(
            name='Signature',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('proposal', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='renewal.proposal')),
                ('signer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
                ('lease', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.lease')),
                ('quote', models.JSONField(verbose_name='quote')),
                ('text', models.TextField(verbose_name='agreement')),
                ('text_version', models.CharField(default='renewal-1', max_length=32, verbose_name='text version')),
                ('text_hash', models.CharField(max_length=64)),
                ('code', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='renewal.code')),
                ('device', models.CharField(max_length=300, verbose_name='device')),
                ('address', models.GenericIPAddressField(null=True, verbose_name='IP address')),
                ('signed_at', models.DateTimeField(verbose_name='signed')),
            ],
            options={
                'verbose_name': 'signature',
                'verbose_name_plural': 'signatures',
                'constraints': [models.UniqueConstraint(fields=('proposal', 'signer'), name='signature_once')],
            },
        ),
        migrations.CreateModel(
            name='Tally',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('link', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.link')),
                ('act', models.CharField(max_length=8)),
                ('since', models.DateTimeField()),
                ('n', models.PositiveIntegerField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('link', 'act'), name='tally_once')],
            },
        ),
        migrations.RunSQL(FACTS, FACTS_OFF),
    ]
