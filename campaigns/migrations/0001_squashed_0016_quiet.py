"""The tables, and what stands once it is released, drawn, listed or concluded: the database refuses to change it."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# A version of a segment stands as it was written.
SEGMENTS = """
CREATE FUNCTION segment_version_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the version of a segment is only ever added' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER segment_version_stands BEFORE UPDATE OR DELETE ON campaigns_segmentversion
    FOR EACH ROW EXECUTE FUNCTION segment_version_stands();
"""
SEGMENTS_OFF = """
DROP TRIGGER segment_version_stands ON campaigns_segmentversion;
DROP FUNCTION segment_version_stands();
"""

# A version that has been released stands as it is, with its steps; a release is decided once and never taken back.
PLAYBOOKS = """
CREATE FUNCTION playbook_version_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT OLD.is_draft THEN
        RAISE EXCEPTION 'a released version of a playbook is never changed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER playbook_version_stands BEFORE UPDATE OR DELETE ON campaigns_playbookversion
    FOR EACH ROW EXECUTE FUNCTION playbook_version_stands();

CREATE FUNCTION step_version_stands() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    said campaigns_stepversion := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
BEGIN
    IF NOT (SELECT is_draft FROM campaigns_playbookversion WHERE id = said.version_id)
        OR TG_OP = 'UPDATE' AND OLD.version_id <> NEW.version_id THEN
        RAISE EXCEPTION 'the steps of a released version are never changed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN said;
END $$;
CREATE TRIGGER step_version_stands BEFORE INSERT OR UPDATE OR DELETE ON campaigns_stepversion
    FOR EACH ROW EXECUTE FUNCTION step_version_stands();

CREATE FUNCTION release_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.state <> 'waiting' OR
        (OLD.version_id, OLD.percent, OLD.rule, OLD.reach, OLD.asked_by_id, OLD.asked_at)
        IS DISTINCT FROM (NEW.version_id, NEW.percent, NEW.rule, NEW.reach, NEW.asked_by_id, NEW.asked_at) THEN
        RAISE EXCEPTION 'a release is only decided, once' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER release_stands BEFORE UPDATE OR DELETE ON campaigns_release
    FOR EACH ROW EXECUTE FUNCTION release_stands();
"""
PLAYBOOKS_OFF = """
DROP TRIGGER playbook_version_stands ON campaigns_playbookversion;
DROP TRIGGER step_version_stands ON campaigns_stepversion;
DROP TRIGGER release_stands ON campaigns_release;
DROP FUNCTION playbook_version_stands();
DROP FUNCTION step_version_stands();
DROP FUNCTION release_stands();
"""

# Of a list it stands for ever who put whom on it and who took them off.
LISTS = """
CREATE FUNCTION list_change_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the change of a list is only ever added' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER list_change_stands BEFORE UPDATE OR DELETE ON campaigns_listchange
    FOR EACH ROW EXECUTE FUNCTION list_change_stands();

CREATE FUNCTION listed_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.taken_id IS NOT NULL
        OR (OLD.list_id, OLD.tenant_id, OLD.added_id) IS DISTINCT FROM (NEW.list_id, NEW.tenant_id, NEW.added_id) THEN
        RAISE EXCEPTION 'who is on a list is only taken off it, once' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER listed_stands BEFORE UPDATE OR DELETE ON campaigns_listed
    FOR EACH ROW EXECUTE FUNCTION listed_stands();
"""
LISTS_OFF = """
DROP TRIGGER list_change_stands ON campaigns_listchange;
DROP TRIGGER listed_stands ON campaigns_listed;
DROP FUNCTION list_change_stands();
DROP FUNCTION listed_stands();
"""

# Who was given which arm, and what was concluded, stand as they are: a verdict that is corrected has a line after it.
EXPERIMENTS = """
CREATE FUNCTION experiment_line_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what an experiment drew and concluded is never changed' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER assigned_stands BEFORE UPDATE OR DELETE ON campaigns_assigned
    FOR EACH ROW EXECUTE FUNCTION experiment_line_stands();
CREATE TRIGGER verdict_stands BEFORE UPDATE OR DELETE ON campaigns_verdict
    FOR EACH ROW EXECUTE FUNCTION experiment_line_stands();
"""
EXPERIMENTS_OFF = """
DROP TRIGGER assigned_stands ON campaigns_assigned;
DROP TRIGGER verdict_stands ON campaigns_verdict;
DROP FUNCTION experiment_line_stands();
"""

# What was done to a touchpoint stands for ever.
TOUCHPOINTS = """
CREATE FUNCTION touchpoint_change_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the change of a touchpoint is only ever added' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER touchpoint_change_stands BEFORE UPDATE OR DELETE ON campaigns_touchpointchange
    FOR EACH ROW EXECUTE FUNCTION touchpoint_change_stands();
"""
TOUCHPOINTS_OFF = """
DROP TRIGGER touchpoint_change_stands ON campaigns_touchpointchange;
DROP FUNCTION touchpoint_change_stands();
"""


class Migration(migrations.Migration):

    initial = True

    replaces = [
        ("campaigns", "0001_initial"),
        ("campaigns", "0002_initial"),
        ("campaigns", "0003_segment_version"),
        ("campaigns", "0004_playbook_versions"),
        ("campaigns", "0005_carry_playbooks_over"),
        ("campaigns", "0006_playbook_versions_stand"),
        ("campaigns", "0007_name_lists"),
        ("campaigns", "0008_stood_then"),
        ("campaigns", "0009_step_templates"),
        ("campaigns", "0010_push_decided"),
        ("campaigns", "0011_experiments"),
        ("campaigns", "0012_touchpoints"),
        ("campaigns", "0013_experiment_roster"),
        ("campaigns", "0014_general_wording"),
        ("campaigns", "0015_usual_rates"),
        ("campaigns", "0016_quiet"),
    ]

    dependencies = [
        ('connectors', '0001_squashed_0005_access_token'),
        ('tenants', '0001_squashed_0034_roadmap_link'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Segment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', models.CharField(max_length=32, unique=True, verbose_name='code')),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('rule', models.JSONField(verbose_name='rule')),
            ],
            options={
                'verbose_name': 'segment',
                'verbose_name_plural': 'segments',
            },
        ),
        migrations.CreateModel(
            name='Playbook',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', models.CharField(max_length=32, unique=True, verbose_name='code')),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('segment', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.segment')),
                ('rank', models.PositiveSmallIntegerField(unique=True, verbose_name='rank')),
                ('is_active', models.BooleanField(default=True, verbose_name='active')),
            ],
            options={
                'verbose_name': 'playbook',
                'verbose_name_plural': 'playbooks',
            },
        ),
        migrations.CreateModel(
            name='NameList',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', models.CharField(max_length=32, unique=True, verbose_name='code')),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('removed_at', models.DateTimeField(null=True, verbose_name='removed')),
            ],
            options={
                'verbose_name': 'list of names',
                'verbose_name_plural': 'lists of names',
                'constraints': [models.UniqueConstraint(condition=models.Q(('removed_at', None)), fields=('name',), name='name_list_called_once')],
            },
        ),
        migrations.CreateModel(
            name='ListChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('list', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.namelist')),
                ('kind', models.CharField(choices=[('made', 'made'), ('added', 'put on it'), ('taken', 'taken off it'), ('renamed', 'renamed'), ('removed', 'removed'), ('restored', 'restored')], max_length=8, verbose_name='kind')),
                ('people', models.PositiveIntegerField(default=0, verbose_name='people')),
                ('before', models.CharField(blank=True, max_length=80, verbose_name='name before')),
                ('after', models.CharField(blank=True, max_length=80, verbose_name='name after')),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('at', models.DateTimeField(verbose_name='at')),
                ('undoes', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.listchange')),
            ],
            options={
                'verbose_name': 'change of a list',
                'verbose_name_plural': 'changes of lists',
            },
        ),
        migrations.CreateModel(
            name='Listed',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('list', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.namelist')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
                ('added', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.listchange')),
                ('taken', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.listchange')),
            ],
            options={
                'verbose_name': 'tenant on a list',
                'verbose_name_plural': 'tenants on lists',
                'constraints': [models.UniqueConstraint(condition=models.Q(('taken', None)), fields=('list', 'tenant'), name='listed_once')],
            },
        ),
        migrations.CreateModel(
            name='PlaybookVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('playbook', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.playbook')),
                ('number', models.PositiveIntegerField(verbose_name='version')),
                ('is_draft', models.BooleanField(default=True, verbose_name='draft')),
                ('lead_days', models.PositiveSmallIntegerField(default=60, verbose_name='starts, days before the end')),
                ('starts_on', models.JSONField(blank=True, default=dict, verbose_name='starts on')),
                ('leaves_with_segment', models.BooleanField(default=True, verbose_name='who leaves the segment leaves the playbook')),
                ('fix_first', models.BooleanField(default=True, verbose_name='ask only after repairs')),
                ('unfixed_percent', models.PositiveSmallIntegerField(default=0, verbose_name='by lot without waiting (%)')),
                ('under_way', models.CharField(choices=[('finish', 'finish the version they are in'), ('move', 'move to this version')], default='finish', max_length=8, verbose_name='those under way')),
                ('note', models.CharField(blank=True, max_length=200, verbose_name='note')),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('at', models.DateTimeField(verbose_name='at')),
            ],
            options={
                'verbose_name': 'version of a playbook',
                'verbose_name_plural': 'versions of playbooks',
                'constraints': [models.UniqueConstraint(fields=('playbook', 'number'), name='playbook_version_once'), models.UniqueConstraint(condition=models.Q(('is_draft', True)), fields=('playbook',), name='playbook_one_draft'), models.CheckConstraint(condition=models.Q(('unfixed_percent__lte', 100)), name='playbook_version_percent')],
            },
        ),
        migrations.CreateModel(
            name='Enrolment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('playbook', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.playbook')),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.playbookversion')),
                ('moves', models.JSONField(db_default=models.Value([], models.JSONField()), default=list)),
                ('lease', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.lease')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
                ('cycle', models.CharField(default='1', max_length=64)),
                ('started_at', models.DateTimeField(null=True, verbose_name='what started it happened at')),
                ('start_on', models.DateField(verbose_name='starts on')),
                ('start_why', models.CharField(max_length=200, verbose_name='why then')),
                ('fix_first', models.BooleanField(default=True, verbose_name='asks wait for repairs')),
                ('enrolled_on', models.DateField(verbose_name='enrolled on')),
                ('left_on', models.DateField(null=True, verbose_name='left on')),
                ('left_because', models.CharField(blank=True, max_length=80, verbose_name='left because')),
                ('is_final', models.BooleanField(default=False, verbose_name='for good')),
            ],
            options={
                'verbose_name': 'enrolment',
                'verbose_name_plural': 'enrolments',
                'constraints': [models.UniqueConstraint(fields=('playbook', 'lease', 'tenant', 'cycle'), name='enrolment_once'), models.UniqueConstraint(condition=models.Q(('cycle', '1'), ('left_on__isnull', True)), fields=('lease', 'tenant'), name='enrolment_one_at_a_time')],
            },
        ),
        migrations.CreateModel(
            name='Quiet',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('lease', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.lease')),
                ('until', models.DateField(verbose_name='until')),
                ('why', models.CharField(blank=True, max_length=200, verbose_name='why')),
                ('at', models.DateTimeField(verbose_name='at')),
            ],
            options={
                'verbose_name': 'quiet time of a lease',
                'verbose_name_plural': 'quiet times of leases',
                'indexes': [models.Index(fields=['lease', 'at'], name='quiet_lease_at')],
            },
        ),
        migrations.CreateModel(
            name='Release',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.playbookversion')),
                ('percent', models.PositiveSmallIntegerField(default=100, verbose_name='of households, by lot (%)')),
                ('rule', models.JSONField(blank=True, null=True, verbose_name='only to')),
                ('reach', models.PositiveIntegerField(verbose_name='leases reached when it was asked for')),
                ('state', models.CharField(choices=[('waiting', 'waits for a second person'), ('standing', 'released'), ('refused', 'refused'), ('withdrawn', 'withdrawn')], max_length=10, verbose_name='state')),
                ('why', models.CharField(blank=True, max_length=200, verbose_name='reason')),
                ('asked_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='asked for by')),
                ('asked_at', models.DateTimeField(verbose_name='asked for')),
                ('decided_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='decided by')),
                ('decided_at', models.DateTimeField(null=True, verbose_name='decided')),
            ],
            options={
                'verbose_name': 'release',
                'verbose_name_plural': 'releases',
                'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'waiting')), fields=('version',), name='release_one_waiting'), models.CheckConstraint(condition=models.Q(('percent__lte', 100)), name='release_percent'), models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['standing', 'refused']), _negated=True), ('decided_by__isnull', True), models.Q(('decided_by', models.F('asked_by')), _negated=True), _connector='OR'), name='release_by_two'), models.CheckConstraint(condition=models.Q(models.Q(('decided_at__isnull', True), ('state', 'waiting')), models.Q(('decided_at__isnull', False), models.Q(('state', 'waiting'), _negated=True)), _connector='OR'), name='release_decided_once')],
            },
        ),
        migrations.CreateModel(
            name='SegmentVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('segment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.segment')),
                ('number', models.PositiveIntegerField(verbose_name='version')),
                ('rule', models.JSONField(verbose_name='rule')),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('at', models.DateTimeField(verbose_name='at')),
                ('note', models.CharField(blank=True, max_length=200, verbose_name='note')),
            ],
            options={
                'verbose_name': 'version of a segment',
                'verbose_name_plural': 'versions of segments',
                'constraints': [models.UniqueConstraint(fields=('segment', 'number'), name='segment_version_once')],
            },
        ),
        migrations.CreateModel(
            name='Step',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('playbook', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.playbook')),
                ('code', models.CharField(max_length=40, unique=True, verbose_name='code')),
            ],
            options={
                'verbose_name': 'step',
                'verbose_name_plural': 'steps',
            },
        ),
        migrations.CreateModel(
            name='Experiment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('step', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.step')),
                ('on', models.DateField(null=True, verbose_name='the day of the wave')),
                ('seed', models.CharField(max_length=32, verbose_name='seed')),
                ('roster', models.JSONField(db_default=models.Value([], models.JSONField()), default=list, verbose_name='roster')),
                ('usual', models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict, verbose_name='usual rates')),
                ('state', models.CharField(choices=[('ready', 'waits for its day'), ('running', 'running'), ('decided', 'decided'), ('stopped', 'stopped')], default='ready', max_length=8, verbose_name='state')),
                ('made_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('made_at', models.DateTimeField(verbose_name='made')),
                ('started_at', models.DateTimeField(null=True, verbose_name='started')),
                ('ended_at', models.DateTimeField(null=True, verbose_name='ended')),
            ],
            options={
                'verbose_name': 'experiment',
                'verbose_name_plural': 'experiments',
                'constraints': [models.UniqueConstraint(condition=models.Q(('state__in', ['ready', 'running'])), fields=('step',), name='experiment_one_a_step')],
            },
        ),
        migrations.CreateModel(
            name='Arm',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('experiment', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='campaigns.experiment')),
                ('letter', models.CharField(max_length=1, verbose_name='version')),
                ('text', models.CharField(max_length=200, verbose_name='wording')),
                ('templates', models.JSONField(blank=True, default=dict, verbose_name='templates')),
                ('dropped_at', models.DateTimeField(null=True, verbose_name='dropped')),
            ],
            options={
                'verbose_name': 'version in an experiment',
                'verbose_name_plural': 'versions in an experiment',
                'constraints': [models.UniqueConstraint(fields=('experiment', 'letter'), name='arm_once')],
            },
        ),
        migrations.CreateModel(
            name='Look',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('experiment', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='campaigns.experiment')),
                ('number', models.PositiveSmallIntegerField(verbose_name='look')),
                ('due_at', models.DateTimeField(verbose_name='due')),
                ('done_at', models.DateTimeField(null=True, verbose_name='done')),
                ('found', models.JSONField(default=dict, verbose_name='found')),
            ],
            options={
                'verbose_name': 'look',
                'verbose_name_plural': 'looks',
                'constraints': [models.UniqueConstraint(fields=('experiment', 'number'), name='look_once')],
            },
        ),
        migrations.CreateModel(
            name='StepVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='campaigns.playbookversion')),
                ('step', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.step')),
                ('anchor', models.CharField(choices=[('start', 'days after the start'), ('end', "days before the lease's end"), ('event', 'days after what happened'), ('wave', 'a wave on one day')], default='end', max_length=8, verbose_name='due')),
                ('days', models.PositiveSmallIntegerField(default=0, verbose_name='days')),
                ('on', models.DateField(blank=True, null=True, verbose_name='on')),
                ('ends_from', models.PositiveSmallIntegerField(default=20, verbose_name='ends from (days)')),
                ('ends_to', models.PositiveSmallIntegerField(default=75, verbose_name='ends to (days)')),
                ('kind', models.CharField(choices=[('ask', 'about renewing'), ('care', 'about a service')], default='ask', max_length=8, verbose_name='kind')),
                ('rule', models.JSONField(blank=True, null=True, verbose_name='only to')),
                ('templates', models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict, verbose_name='templates')),
                ('text', models.CharField(max_length=200, verbose_name='wording')),
                ('general_text', models.CharField(blank=True, db_default='', default='', max_length=200, verbose_name='general wording')),
                ('general_templates', models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict)),
                ('claims_topic', models.CharField(blank=True, max_length=32, verbose_name='claims an announcement about')),
                ('grants', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.perk')),
            ],
            options={
                'verbose_name': 'step in a version',
                'verbose_name_plural': 'steps in versions',
                'constraints': [models.UniqueConstraint(fields=('version', 'step'), name='step_version_once'), models.CheckConstraint(condition=models.Q(models.Q(('anchor', 'wave'), ('on__isnull', False)), models.Q(('anchor', 'wave'), _negated=True), _connector='OR'), name='step_version_wave_has_a_day'), models.CheckConstraint(condition=models.Q(('ends_from__lte', models.F('ends_to'))), name='step_version_wave_window')],
            },
        ),
        migrations.CreateModel(
            name='Push',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('lease', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.lease')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
                ('step', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.step')),
                ('said', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.stepversion')),
                ('cycle', models.CharField(default='1', max_length=64)),
                ('general', models.BooleanField(db_default=False, default=False, verbose_name='general wording')),
                ('due_on', models.DateField(verbose_name='due on')),
                ('held_on', models.DateField(null=True, verbose_name='held back until')),
                ('state', models.CharField(choices=[('held', 'held back'), ('planned', 'planned'), ('suppressed', 'suppressed'), ('handed_over', 'in the outbox')], default='planned', max_length=12, verbose_name='state')),
                ('reason', models.CharField(max_length=300, verbose_name='why')),
                ('message', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.message')),
                ('created_at', models.DateTimeField(verbose_name='created')),
                ('first_at', models.DateTimeField(null=True)),
            ],
            options={
                'verbose_name': 'push',
                'verbose_name_plural': 'pushes',
                'constraints': [models.UniqueConstraint(fields=('lease', 'tenant', 'step', 'cycle'), name='push_once')],
                'indexes': [models.Index(condition=models.Q(('state__in', ['planned', 'held'])), fields=['due_on'], name='push_due'), models.Index(fields=['-created_at', '-id'], name='push_decided')],
            },
        ),
        migrations.CreateModel(
            name='Touchpoint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', models.CharField(max_length=32, unique=True, verbose_name='code')),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('kind', models.CharField(choices=[('lift', 'lift screen'), ('locker', 'parcel locker'), ('payment', 'payment page'), ('bill', 'bill'), ('app', 'app')], max_length=8, verbose_name='kind')),
                ('building', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.building')),
                ('partner', models.CharField(blank=True, max_length=80, verbose_name='partner')),
                ('origins', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=200), default=list, size=None, verbose_name='may be embedded by')),
                ('key', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='connectors.inboundkey')),
                ('title', models.CharField(max_length=40, verbose_name='title')),
                ('line', models.CharField(blank=True, max_length=80, verbose_name='line under it')),
                ('action', models.CharField(max_length=16, verbose_name='button')),
                ('paused_because', models.CharField(blank=True, max_length=200, verbose_name='paused because')),
                ('paused_at', models.DateTimeField(null=True, verbose_name='paused')),
                ('created_at', models.DateTimeField(verbose_name='created')),
            ],
            options={
                'verbose_name': 'touchpoint',
                'verbose_name_plural': 'touchpoints',
            },
        ),
        migrations.CreateModel(
            name='Ticket',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('token_hash', models.CharField(max_length=64, unique=True)),
                ('touchpoint', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.touchpoint')),
                ('tenant', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('created_at', models.DateTimeField(verbose_name='created')),
                ('expires_at', models.DateTimeField(db_index=True, verbose_name='expires')),
                ('used_at', models.DateTimeField(null=True, verbose_name='used')),
            ],
            options={
                'verbose_name': 'ticket',
                'verbose_name_plural': 'tickets',
            },
        ),
        migrations.CreateModel(
            name='Placement',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('touchpoint', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.touchpoint')),
                ('seed', models.CharField(max_length=32, verbose_name='seed')),
                ('first_day', models.DateField(verbose_name='first day')),
                ('last_day', models.DateField(null=True, verbose_name='last day')),
            ],
            options={
                'verbose_name': 'draw of days',
                'verbose_name_plural': 'draws of days',
                'constraints': [models.UniqueConstraint(condition=models.Q(('last_day__isnull', True)), fields=('touchpoint',), name='placement_one_at_a_time'), models.CheckConstraint(condition=models.Q(('last_day__isnull', True), ('last_day__gte', models.F('first_day')), _connector='OR'), name='placement_days')],
            },
        ),
        migrations.CreateModel(
            name='TouchpointChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('touchpoint', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.touchpoint')),
                ('kind', models.CharField(choices=[('made', 'made'), ('changed', 'changed'), ('paused', 'paused'), ('resumed', 'shown again'), ('drawn', 'days drawn by lot from here on'), ('ended', 'shown every day again')], max_length=8, verbose_name='kind')),
                ('facts', models.JSONField(default=dict, verbose_name='what it was changed to')),
                ('why', models.CharField(blank=True, max_length=200, verbose_name='reason')),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('at', models.DateTimeField(verbose_name='at')),
            ],
            options={
                'verbose_name': 'change of a touchpoint',
                'verbose_name_plural': 'changes of touchpoints',
            },
        ),
        migrations.CreateModel(
            name='TouchpointDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('touchpoint', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.touchpoint')),
                ('building', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.building')),
                ('day', models.DateField(verbose_name='day')),
                ('shown', models.PositiveIntegerField(db_default=0, default=0, verbose_name='shown')),
                ('opened', models.PositiveIntegerField(db_default=0, default=0, verbose_name='opened')),
                ('machines', models.PositiveIntegerField(db_default=0, default=0, verbose_name='machines')),
                ('played', models.PositiveIntegerField(db_default=0, default=0, verbose_name='played')),
            ],
            options={
                'verbose_name': 'day of a touchpoint',
                'verbose_name_plural': 'days of touchpoints',
                'constraints': [models.UniqueConstraint(fields=('touchpoint', 'building', 'day'), name='touchpoint_day_once', nulls_distinct=False)],
            },
        ),
        migrations.CreateModel(
            name='Verdict',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('experiment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.experiment')),
                ('kind', models.CharField(choices=[('confirmed', 'confirmed'), ('provisional', 'provisional'), ('no_difference', 'no difference'), ('dropped', 'dropped'), ('upheld', 'upheld by signatures'), ('reversed', 'reversed by signatures'), ('blocked', 'no verdict'), ('stopped', 'stopped')], max_length=16, verbose_name='verdict')),
                ('arm', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.arm')),
                ('why', models.CharField(max_length=300, verbose_name='why')),
                ('found', models.JSONField(default=dict, verbose_name='found')),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('at', models.DateTimeField(verbose_name='at')),
            ],
            options={
                'verbose_name': 'verdict',
                'verbose_name_plural': 'verdicts',
            },
        ),
        migrations.CreateModel(
            name='Assigned',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('experiment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.experiment')),
                ('arm', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.arm')),
                ('lease', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.lease')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
                ('household', models.CharField(max_length=32)),
                ('block', models.PositiveIntegerField(verbose_name='block')),
                ('at', models.DateTimeField(verbose_name='assigned')),
            ],
            options={
                'verbose_name': 'tenant in an experiment',
                'verbose_name_plural': 'tenants in an experiment',
                'constraints': [models.UniqueConstraint(fields=('experiment', 'lease', 'tenant'), name='assigned_once')],
            },
        ),
        migrations.RunSQL(SEGMENTS, SEGMENTS_OFF),
        migrations.RunSQL(PLAYBOOKS, PLAYBOOKS_OFF),
        migrations.RunSQL(LISTS, LISTS_OFF),
        migrations.RunSQL(EXPERIMENTS, EXPERIMENTS_OFF),
        migrations.RunSQL(TOUCHPOINTS, TOUCHPOINTS_OFF),
    ]
