"""The tables, and what the database itself refuses: unlawful moves of a message, changing what only ever grows.

The thirty-four migrations before are one: a fresh database renders the state of the models once.
"""

import django.contrib.auth.models
import django.contrib.auth.validators
import django.contrib.postgres.constraints
import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
import tenants.models.leased
from django.conf import settings
from django.db import migrations, models

MOVES = (
    "planned>queued", "planned>suppressed",
    "queued>sending", "queued>suppressed", "queued>cancelled", "queued>expired",
    "sending>accepted", "sending>queued", "sending>failed", "sending>unknown", "sending>dead",
    "unknown>accepted", "unknown>delivered", "unknown>undelivered", "unknown>failed", "unknown>parked",
    "unknown>queued",
    "accepted>delivered", "accepted>undelivered",
    "parked>queued", "parked>cancelled",
)  # fmt: skip
LAWFUL = ", ".join(f"'{move}'" for move in MOVES)

# No code path can send twice by mistake. The moves are looked up where the trigger decides whether to fire: every
# message moves twice on its way, and calling the function would be a fourth of what a move costs.
LAWFULLY = f"""
CREATE FUNCTION message_moves_lawfully() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a message does not go from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER message_moves_lawfully BEFORE UPDATE OF state ON tenants_message FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state AND OLD.state || '>' || NEW.state NOT IN ({LAWFUL}))
    EXECUTE FUNCTION message_moves_lawfully();
"""
LAWFULLY_OFF = """
DROP TRIGGER message_moves_lawfully ON tenants_message;
DROP FUNCTION message_moves_lawfully();
"""

# A message changes its channel only where it certainly has not gone by the old one: falling back to a second channel
# while the first is unknown would tell a tenant twice. What it says never changes.
ROUTES = """
CREATE FUNCTION message_keeps_what_it_says() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.channel IS DISTINCT FROM OLD.channel AND NOT (OLD.state IN ('queued', 'sending') AND NEW.state = 'queued')
    THEN
        RAISE EXCEPTION 'a message that is % does not change its channel', OLD.state USING ERRCODE = 'check_violation';
    END IF;
    IF (NEW.key, NEW.klass, NEW.text, NEW.forms, NEW.tenant_id, NEW.user_id, NEW.lease_id, NEW.deadline)
        IS DISTINCT FROM (OLD.key, OLD.klass, OLD.text, OLD.forms, OLD.tenant_id, OLD.user_id, OLD.lease_id, OLD.deadline)
    THEN
        RAISE EXCEPTION 'a message never changes what it says, to whom or until when' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.attempt < OLD.attempt THEN
        RAISE EXCEPTION 'the number of a claim never goes back' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER message_keeps_what_it_says
    BEFORE UPDATE OF channel, key, klass, text, forms, tenant_id, user_id, lease_id, deadline, attempt
    ON tenants_message FOR EACH ROW
    WHEN (NEW.channel IS DISTINCT FROM OLD.channel OR NEW.attempt < OLD.attempt OR
        (NEW.key, NEW.klass, NEW.text, NEW.forms, NEW.tenant_id, NEW.user_id, NEW.lease_id, NEW.deadline)
        IS DISTINCT FROM (OLD.key, OLD.klass, OLD.text, OLD.forms, OLD.tenant_id, OLD.user_id, OLD.lease_id, OLD.deadline))
    EXECUTE FUNCTION message_keeps_what_it_says();
"""
ROUTES_OFF = """
DROP TRIGGER message_keeps_what_it_says ON tenants_message;
DROP FUNCTION message_keeps_what_it_says();
"""

# A version of a template stands as it was approved.
TEMPLATES = """
CREATE FUNCTION template_version_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the version of a template is only ever added' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER template_version_stands BEFORE UPDATE OR DELETE ON tenants_templateversion
    FOR EACH ROW EXECUTE FUNCTION template_version_stands();
"""
TEMPLATES_OFF = """
DROP TRIGGER template_version_stands ON tenants_templateversion;
DROP FUNCTION template_version_stands();
"""

# Who was held out on a day must be known for good.
HOLDOUT = """
CREATE FUNCTION holdout_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a line of the holdout is never changed' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER holdout_stands BEFORE UPDATE OR DELETE ON tenants_holdout
FOR EACH ROW EXECUTE FUNCTION holdout_stands();
"""
HOLDOUT_OFF = """
DROP TRIGGER holdout_stands ON tenants_holdout;
DROP FUNCTION holdout_stands();
"""

# The consent ledger only grows, and so do the lines of preferred hours.
CONSENTS = """
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
CREATE TRIGGER consent_ledger_only_grows BEFORE UPDATE OR DELETE ON tenants_preference
    FOR EACH ROW EXECUTE FUNCTION consent_ledger_only_grows();
"""
CONSENTS_OFF = """
DROP TRIGGER consent_ledger_only_grows ON tenants_consent;
DROP TRIGGER consent_ledger_only_grows ON tenants_consenttext;
DROP TRIGGER consent_ledger_only_grows ON tenants_generalchoice;
DROP TRIGGER consent_ledger_only_grows ON tenants_preference;
DROP FUNCTION consent_ledger_only_grows();
"""

# The ledger of perks only grows. A delete by TRUNCATE is for tests alone.
PERKS = """
CREATE FUNCTION perk_ledger_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is only ever added to', TG_TABLE_NAME USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER perk_ledger_only_grows BEFORE UPDATE OR DELETE ON tenants_grant
    FOR EACH ROW EXECUTE FUNCTION perk_ledger_only_grows();
CREATE TRIGGER perk_ledger_only_grows BEFORE UPDATE OR DELETE ON tenants_perkchange
    FOR EACH ROW EXECUTE FUNCTION perk_ledger_only_grows();
"""
PERKS_OFF = """
DROP TRIGGER perk_ledger_only_grows ON tenants_grant;
DROP TRIGGER perk_ledger_only_grows ON tenants_perkchange;
DROP FUNCTION perk_ledger_only_grows();
"""

# Every night writes every feature row anew. Half of each page is left for that: the new row lies beside the old one, no
# index is touched, and the table is no larger than it grows to be anyhow.
FEATURES = "ALTER TABLE tenants_feature SET (fillfactor = 50)"
FEATURES_OFF = "ALTER TABLE tenants_feature RESET (fillfactor)"


class Migration(migrations.Migration):

    initial = True

    replaces = [
        ("tenants", "0001_initial"),
        ("tenants", "0002_lease_contract_once"),
        ("tenants", "0003_message_moves"),
        ("tenants", "0004_message_due_code"),
        ("tenants", "0005_identity"),
        ("tenants", "0006_contract_decision"),
        ("tenants", "0007_event_recorded"),
        ("tenants", "0008_alias_by_hand"),
        ("tenants", "0009_device_clock"),
        ("tenants", "0010_waiting_contract_words"),
        ("tenants", "0011_after_repairs"),
        ("tenants", "0012_feature_repair_views"),
        ("tenants", "0013_night_share"),
        ("tenants", "0014_known_since"),
        ("tenants", "0015_sending"),
        ("tenants", "0016_message_routes"),
        ("tenants", "0017_message_claim"),
        ("tenants", "0018_staff_wecom_id"),
        ("tenants", "0019_event_of_kind"),
        ("tenants", "0020_template"),
        ("tenants", "0021_holdout"),
        ("tenants", "0022_preference"),
        ("tenants", "0023_consent_ledger"),
        ("tenants", "0024_feature_rows_in_place"),
        ("tenants", "0025_template_retired"),
        ("tenants", "0026_message_indexes"),
        ("tenants", "0027_preference_evidence"),
        ("tenants", "0028_address_hash"),
        ("tenants", "0029_general_wording"),
        ("tenants", "0030_asked_how_it_is"),
        ("tenants", "0031_message_guards_cheaper"),
        ("tenants", "0032_promotion"),
        ("tenants", "0033_perk_ledger"),
        ("tenants", "0034_roadmap_link"),
    ]

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        migrations.CreateModel(
            name='Building',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', models.CharField(max_length=16, unique=True, verbose_name='code')),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('address', models.CharField(blank=True, max_length=200, verbose_name='address')),
                ('latitude', models.FloatField(null=True, verbose_name='latitude')),
                ('longitude', models.FloatField(null=True, verbose_name='longitude')),
                ('has_iot', models.BooleanField(default=True, verbose_name='has IoT')),
            ],
            options={
                'verbose_name': 'building',
                'verbose_name_plural': 'buildings',
            },
        ),
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
        migrations.CreateModel(
            name='Tenant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('phone', models.CharField(blank=True, max_length=32, verbose_name='phone')),
                ('merged_into', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
                ('general_version', models.BooleanField(default=False, verbose_name='chose the general version')),
                ('created_at', models.DateTimeField(verbose_name='created')),
            ],
            options={
                'verbose_name': 'tenant',
                'verbose_name_plural': 'tenants',
                'indexes': [models.Index(fields=['phone'], name='tenant_phone')],
            },
        ),
        migrations.CreateModel(
            name='Epoch',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('home', models.CharField(max_length=80)),
                ('number', models.BigIntegerField(default=0)),
                ('at', models.DateTimeField(verbose_name='at')),
            ],
            options={
                'verbose_name': 'epoch of the outbox',
                'verbose_name_plural': 'epochs of the outbox',
            },
        ),
        migrations.CreateModel(
            name='Throttle',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('channel', models.CharField(max_length=16, unique=True)),
                ('since', models.DateTimeField()),
                ('taken', models.PositiveIntegerField(default=0)),
            ],
            options={
                'verbose_name': 'throttle of a channel',
                'verbose_name_plural': 'throttles of channels',
            },
        ),
        migrations.CreateModel(
            name='User',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('password', models.CharField(max_length=128, verbose_name='password')),
                ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                ('is_superuser', models.BooleanField(default=False, help_text='Designates that this user has all permissions without explicitly assigning them.', verbose_name='superuser status')),
                ('username', models.CharField(error_messages={'unique': 'A user with that username already exists.'}, help_text='Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.', max_length=150, unique=True, validators=[django.contrib.auth.validators.UnicodeUsernameValidator()], verbose_name='username')),
                ('first_name', models.CharField(blank=True, max_length=150, verbose_name='first name')),
                ('last_name', models.CharField(blank=True, max_length=150, verbose_name='last name')),
                ('email', models.EmailField(blank=True, max_length=254, verbose_name='email address')),
                ('is_staff', models.BooleanField(default=False, help_text='Designates whether the user can log into this admin site.', verbose_name='staff status')),
                ('is_active', models.BooleanField(default=True, help_text='Designates whether this user should be treated as active. Unselect this instead of deleting accounts.', verbose_name='active')),
                ('date_joined', models.DateTimeField(default=django.utils.timezone.now, verbose_name='date joined')),
                ('groups', models.ManyToManyField(blank=True, help_text='The groups this user belongs to. A user will get all permissions granted to each of their groups.', related_name='user_set', related_query_name='user', to='auth.group', verbose_name='groups')),
                ('user_permissions', models.ManyToManyField(blank=True, help_text='Specific permissions for this user.', related_name='user_set', related_query_name='user', to='auth.permission', verbose_name='user permissions')),
            ],
            options={
                'verbose_name': 'staff user',
                'verbose_name_plural': 'staff users',
                'abstract': False,
            },
            managers=[
                ('objects', django.contrib.auth.models.UserManager()),
            ],
        ),
        migrations.CreateModel(
            name='Announcement',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('building', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.building')),
                ('code', models.CharField(max_length=32, unique=True, verbose_name='code')),
                ('topic', models.CharField(max_length=32, verbose_name='topic')),
                ('text', models.CharField(max_length=300, verbose_name='text')),
                ('on', models.DateField(verbose_name='date')),
                ('until', models.DateField(verbose_name='shown until')),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('withdrawn_at', models.DateTimeField(blank=True, null=True, verbose_name='withdrawn')),
                ('recorded_at', models.DateTimeField()),
            ],
            options={
                'verbose_name': 'building announcement',
                'verbose_name_plural': 'building announcements',
            },
        ),
        migrations.CreateModel(
            name='Clock',
            fields=[
                ('id', models.BooleanField(default=True, primary_key=True, serialize=False)),
                ('offset', models.DurationField()),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('id', True)), name='clock_is_one_row')],
            },
        ),
        migrations.CreateModel(
            name='DirtyTenant',
            fields=[
                ('tenant', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, related_name='+', serialize=False, to='tenants.tenant')),
                ('since', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Feature',
            fields=[
                ('tenant', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='+', serialize=False, to='tenants.tenant')),
                ('day', models.DateField(verbose_name='as of')),
                ('gym_365', models.PositiveIntegerField(default=0, verbose_name='gym visits, 365 days')),
                ('kitchen_90', models.PositiveIntegerField(default=0, verbose_name='shared kitchen, 90 days')),
                ('kitchen_365', models.PositiveIntegerField(default=0, verbose_name='shared kitchen, 365 days')),
                ('laundry_365', models.PositiveIntegerField(default=0, verbose_name='laundry, 365 days')),
                ('community_90', models.PositiveIntegerField(default=0, verbose_name='community activities, 90 days')),
                ('community_365', models.PositiveIntegerField(default=0, verbose_name='community activities, 365 days')),
                ('posts_90', models.PositiveIntegerField(default=0, verbose_name='community posts, 90 days')),
                ('app_30', models.PositiveIntegerField(default=0, verbose_name='app opens, 30 days')),
                ('price_views_90', models.PositiveIntegerField(default=0, verbose_name='price pages seen, 90 days')),
                ('coupon_views_90', models.PositiveIntegerField(default=0, verbose_name='coupon pages seen, 90 days')),
                ('repair_views_90', models.PositiveIntegerField(default=0, verbose_name='repair pages seen, 90 days')),
                ('repairs_365', models.PositiveIntegerField(default=0, verbose_name='repairs, 365 days')),
                ('repairs_open', models.PositiveIntegerField(default=0, verbose_name='open repairs')),
                ('late_accepts_365', models.PositiveIntegerField(default=0, verbose_name='repairs accepted late, 365 days')),
                ('last3_night', models.BooleanField(default=False, verbose_name='last three repairs at night')),
                ('night_share_365', models.FloatField(null=True, verbose_name='share of repairs at night, 365 days')),
                ('worst_accept_hours', models.FloatField(null=True, verbose_name='slowest acceptance, hours')),
                ('last_bad_rating_at', models.DateTimeField(null=True, verbose_name='last bad rating')),
                ('last_moods', models.JSONField(default=list, verbose_name='last three moods')),
                ('last_bad_mood_at', models.DateTimeField(null=True, verbose_name='last bad mood')),
                ('payments_365', models.PositiveIntegerField(default=0, verbose_name='payments, 365 days')),
                ('late_payments_365', models.PositiveIntegerField(default=0, verbose_name='late payments, 365 days')),
                ('pay_day_sd', models.FloatField(null=True, verbose_name='spread of the payment day')),
                ('paid_share', models.FloatField(null=True, verbose_name='share of months paid')),
                ('power_30', models.FloatField(null=True, verbose_name='power, 30 days (kWh)')),
                ('workplace', models.JSONField(null=True, verbose_name='stated workplace')),
                ('computed_at', models.DateTimeField(verbose_name='computed')),
            ],
            options={
                'verbose_name': 'feature row',
                'verbose_name_plural': 'feature rows',
            },
        ),
        migrations.CreateModel(
            name='Consent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('purpose', models.CharField(choices=[('marketing', 'renewal offers'), ('profiling', 'personalised wording'), ('door_logs', 'door logs'), ('surveys', 'questions about living here')], max_length=16, verbose_name='purpose')),
                ('channel', models.CharField(default='any', max_length=16, verbose_name='channel')),
                ('granted', models.BooleanField(verbose_name='granted')),
                ('at', models.DateTimeField(verbose_name='at')),
                ('text_version', models.CharField(max_length=32, verbose_name='text version')),
                ('proof', models.CharField(max_length=200, verbose_name='proof')),
                ('text', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.consenttext', verbose_name='text')),
                ('evidence', models.JSONField(blank=True, db_default={}, default=dict, verbose_name='evidence')),
                ('recorded_at', models.DateTimeField()),
            ],
            options={
                'verbose_name': 'consent',
                'verbose_name_plural': 'consents',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'purpose', 'channel', 'at'), name='consent_once')],
                'indexes': [models.Index(fields=['tenant', 'purpose', '-at'], name='consent_latest')],
            },
        ),
        migrations.CreateModel(
            name='DoorMonth',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('month', models.DateField()),
                ('openings', models.PositiveIntegerField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('tenant', 'month'), name='door_month_once')],
            },
        ),
        migrations.CreateModel(
            name='Flat',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('building', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.building')),
                ('code', models.CharField(max_length=32, verbose_name='code')),
            ],
            options={
                'verbose_name': 'flat',
                'verbose_name_plural': 'flats',
                'constraints': [models.UniqueConstraint(fields=('building', 'code'), name='flat_once')],
            },
        ),
        migrations.CreateModel(
            name='GeneralChoice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('general', models.BooleanField(verbose_name='chose the general version')),
                ('at', models.DateTimeField(verbose_name='at')),
            ],
            options={
                'verbose_name': 'choice of the general version',
                'verbose_name_plural': 'choices of the general version',
                'indexes': [models.Index(fields=['tenant', 'at'], name='general_choice_of_tenant')],
            },
        ),
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
        migrations.CreateModel(
            name='JobRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('job', models.CharField(max_length=64, verbose_name='job')),
                ('period', models.CharField(max_length=32, verbose_name='period')),
                ('started_at', models.DateTimeField(verbose_name='started')),
                ('finished_at', models.DateTimeField(null=True, verbose_name='finished')),
                ('stage', models.CharField(blank=True, max_length=64, verbose_name='stage')),
                ('counts', models.JSONField(default=dict, verbose_name='counts')),
                ('error', models.TextField(blank=True, verbose_name='error')),
                ('times', models.JSONField(default=list)),
            ],
            options={
                'verbose_name': 'job run',
                'verbose_name_plural': 'job runs',
                'constraints': [models.UniqueConstraint(fields=('job', 'period'), name='job_run_once')],
            },
        ),
        migrations.CreateModel(
            name='Membership',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('building', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.building')),
                ('role', models.CharField(choices=[('technician', 'technician'), ('care', 'tenant care'), ('manager', 'building manager'), ('finance', 'finance'), ('hq', 'headquarters')], max_length=16, verbose_name='role')),
                ('first_day', models.DateField(verbose_name='from')),
                ('last_day', models.DateField(blank=True, null=True, verbose_name='to')),
            ],
            options={
                'verbose_name': 'membership',
                'verbose_name_plural': 'memberships',
                'constraints': [models.UniqueConstraint(fields=('user', 'building', 'role'), name='membership_once', nulls_distinct=False)],
            },
        ),
        migrations.CreateModel(
            name='Merge',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kept', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant', verbose_name='kept')),
                ('merged', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant', verbose_name='merged')),
                ('alias_source', models.CharField(blank=True, db_default='', max_length=16)),
                ('alias_ref', models.CharField(blank=True, db_default='', max_length=128)),
                ('reason', models.CharField(max_length=200, verbose_name='reason')),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('at', models.DateTimeField(verbose_name='at')),
                ('undone_at', models.DateTimeField(null=True, verbose_name='undone')),
                ('undone_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='undone by')),
                ('undone_why', models.CharField(blank=True, max_length=200, verbose_name='reason of undoing')),
            ],
            options={
                'verbose_name': 'merge of tenants',
                'verbose_name_plural': 'merges of tenants',
                'constraints': [models.UniqueConstraint(condition=models.Q(('undone_at__isnull', True)), fields=('merged',), name='merge_once'), models.CheckConstraint(condition=models.Q(('kept', models.F('merged')), _negated=True), name='merge_of_two')],
            },
        ),
        migrations.CreateModel(
            name='Pause',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('channel', models.CharField(max_length=16, unique=True, verbose_name='channel')),
                ('cause', models.CharField(choices=[('person', 'stopped by a person'), ('provider', "stopped by the provider's answer"), ('restored', 'the database is a restored or copied one')], db_default='person', default='person', max_length=8, verbose_name='cause')),
                ('why', models.CharField(blank=True, db_default='', max_length=200, verbose_name='why')),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('at', models.DateTimeField(verbose_name='at')),
            ],
            options={
                'verbose_name': 'paused channel',
                'verbose_name_plural': 'paused channels',
            },
        ),
        migrations.CreateModel(
            name='Perk',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', models.CharField(max_length=32, unique=True, verbose_name='code')),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('condition', models.CharField(max_length=200, verbose_name='published condition')),
                ('partner', models.CharField(blank=True, db_default='', max_length=80, verbose_name='partner')),
                ('cost', models.DecimalField(decimal_places=2, max_digits=10, verbose_name='cost')),
                ('budget', models.DecimalField(blank=True, decimal_places=2, max_digits=12, null=True, verbose_name='budget')),
                ('stock', models.PositiveIntegerField(blank=True, null=True, verbose_name='stock')),
                ('valid_days', models.PositiveSmallIntegerField(blank=True, null=True, verbose_name='valid for (days)')),
                ('offered_from', models.DateField(blank=True, null=True, verbose_name='given from')),
                ('offered_to', models.DateField(blank=True, null=True, verbose_name='given until')),
                ('min_term_months', models.PositiveSmallIntegerField(blank=True, null=True, verbose_name='from a term of (months)')),
                ('is_choice', models.BooleanField(default=False, verbose_name='may be chosen on the proposal')),
                ('has_voucher', models.BooleanField(db_default=True, default=True, verbose_name='redeemed by a voucher')),
            ],
            options={
                'verbose_name': 'perk',
                'verbose_name_plural': 'perks',
                'constraints': [models.CheckConstraint(condition=models.Q(('cost__gte', 0)), name='perk_cost_not_negative'), models.CheckConstraint(condition=models.Q(('budget', None), ('budget__gte', 0), _connector='OR'), name='perk_budget_not_negative')],
            },
        ),
        migrations.CreateModel(
            name='PerkChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('perk', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.perk')),
                ('changes', models.JSONField(default=dict)),
                ('added', models.IntegerField(default=0)),
                ('why', models.CharField(blank=True, max_length=200, verbose_name='reason')),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('at', models.DateTimeField(verbose_name='at')),
            ],
            options={
                'verbose_name': 'change of a perk',
                'verbose_name_plural': 'changes of perks',
            },
        ),
        migrations.CreateModel(
            name='Preference',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('first_hour', models.PositiveSmallIntegerField(null=True, verbose_name='from (hour)')),
                ('end_hour', models.PositiveSmallIntegerField(null=True, verbose_name='until (hour)')),
                ('text', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.consenttext', verbose_name='text')),
                ('proof', models.CharField(max_length=200, verbose_name='proof')),
                ('evidence', models.JSONField(blank=True, db_default={}, default=dict, verbose_name='evidence')),
                ('at', models.DateTimeField(verbose_name='at')),
                ('recorded_at', models.DateTimeField()),
            ],
            options={
                'verbose_name': 'preferred hours',
                'verbose_name_plural': 'preferred hours',
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('end_hour__isnull', True), ('first_hour__isnull', True)), models.Q(('end_hour__lte', 24), ('first_hour__lt', models.F('end_hour'))), _connector='OR'), name='preference_is_a_span')],
                'indexes': [models.Index(fields=['tenant', 'at'], name='preference_of_tenant')],
            },
        ),
        migrations.CreateModel(
            name='Staff',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('phone', models.CharField(max_length=32, unique=True, verbose_name='phone')),
                ('skills', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=16), default=list, size=None, verbose_name='skills')),
                ('shift', models.CharField(blank=True, max_length=16, verbose_name='shift')),
                ('wecom_id', models.CharField(blank=True, db_default='', max_length=64, validators=[django.core.validators.RegexValidator('^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}\\Z', 'Letters, digits and _-.@, beginning with one of the former.')], verbose_name='WeCom account')),
            ],
            options={
                'verbose_name': 'member of staff',
                'verbose_name_plural': 'members of staff',
                'constraints': [models.UniqueConstraint(django.db.models.functions.text.Lower('wecom_id'), condition=models.Q(('wecom_id', ''), _negated=True), name='wecom_id_once')],
            },
        ),
        migrations.CreateModel(
            name='Switching',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('channel', models.CharField(max_length=16, verbose_name='channel')),
                ('stopped', models.BooleanField(verbose_name='stopped')),
                ('cause', models.CharField(choices=[('person', 'stopped by a person'), ('provider', "stopped by the provider's answer"), ('restored', 'the database is a restored or copied one')], max_length=8, verbose_name='cause')),
                ('why', models.CharField(blank=True, max_length=200, verbose_name='why')),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('at', models.DateTimeField(verbose_name='at')),
            ],
            options={
                'verbose_name': 'stop or start of a channel',
                'verbose_name_plural': 'stops and starts of channels',
                'ordering': ['-at', '-id'],
            },
        ),
        migrations.CreateModel(
            name='Template',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', models.CharField(max_length=40, verbose_name='code')),
                ('channel', models.CharField(max_length=16, verbose_name='channel')),
                ('klass', models.CharField(choices=[('marketing', 'marketing'), ('service', 'service'), ('code', 'code'), ('staff', 'staff'), ('system', 'system')], max_length=12, verbose_name='class')),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('owner', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='owner')),
                ('retired_at', models.DateTimeField(null=True, verbose_name='retired')),
            ],
            options={
                'verbose_name': 'template',
                'verbose_name_plural': 'templates',
                'constraints': [models.UniqueConstraint(fields=('channel', 'code'), name='template_once')],
            },
        ),
        migrations.CreateModel(
            name='TemplateVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('template', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.template')),
                ('number', models.PositiveIntegerField(verbose_name='version')),
                ('provider_id', models.CharField(blank=True, max_length=64, verbose_name="the provider's number")),
                ('text', models.CharField(max_length=500, verbose_name='text')),
                ('fields', models.JSONField(default=list, verbose_name='fields')),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('at', models.DateTimeField(verbose_name='at')),
                ('note', models.CharField(blank=True, max_length=200, verbose_name='note')),
            ],
            options={
                'verbose_name': 'version of a template',
                'verbose_name_plural': 'versions of templates',
                'constraints': [models.UniqueConstraint(fields=('template', 'number'), name='template_version_once')],
            },
        ),
        migrations.CreateModel(
            name='TenantTag',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('tag', models.CharField(max_length=32, verbose_name='tag')),
                ('since', models.DateField(verbose_name='since')),
                ('evidence', models.JSONField(verbose_name='evidence')),
                ('computed_at', models.DateTimeField(verbose_name='computed')),
            ],
            options={
                'verbose_name': 'tag of a tenant',
                'verbose_name_plural': 'tags of tenants',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'tag'), name='tenant_tag_once')],
                'indexes': [models.Index(fields=['tag'], name='tenant_tag_tag')],
            },
        ),
        migrations.CreateModel(
            name='Unit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('building', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.building')),
                ('flat', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.flat')),
                ('code', models.CharField(max_length=32, unique=True, verbose_name='code')),
                ('room_type', models.CharField(max_length=32, verbose_name='room type')),
                ('floor', models.SmallIntegerField(verbose_name='floor')),
                ('area', models.DecimalField(decimal_places=2, max_digits=6, verbose_name='area (m²)')),
                ('list_rent', models.DecimalField(decimal_places=2, max_digits=10, verbose_name='list rent')),
            ],
            options={
                'verbose_name': 'unit',
                'verbose_name_plural': 'units',
                'constraints': [models.CheckConstraint(condition=models.Q(('list_rent__gt', 0)), name='unit_list_rent_positive')],
            },
        ),
        migrations.CreateModel(
            name='Lease',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('unit', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.unit')),
                ('contract_no', models.CharField(blank=True, max_length=64, verbose_name='contract no.')),
                ('signed_on', models.DateField(verbose_name='signed on')),
                ('first_day', models.DateField(verbose_name='first day')),
                ('last_day', models.DateField(verbose_name='last day')),
                ('agreed_last_day', models.DateField(verbose_name='agreed last day')),
                ('monthly_rent', models.DecimalField(decimal_places=2, max_digits=10, verbose_name='monthly rent')),
                ('deposit', models.DecimalField(decimal_places=2, max_digits=10, verbose_name='deposit')),
                ('anchor_day', models.PositiveSmallIntegerField(verbose_name='anchor day')),
                ('state', models.CharField(choices=[('signed', 'signed'), ('void', 'void')], default='signed', max_length=8, verbose_name='state')),
                ('ended_by', models.CharField(blank=True, choices=[('', 'ran to its end'), ('tenant', 'the tenant'), ('operator', 'the operator')], default='', max_length=8, verbose_name='ended early by')),
                ('ended_agreed_on', models.DateField(null=True, verbose_name='end agreed on')),
                ('renews', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.lease')),
                ('revision', models.PositiveIntegerField(default=1, verbose_name='revision')),
                ('recorded_at', models.DateTimeField()),
            ],
            options={
                'verbose_name': 'lease',
                'verbose_name_plural': 'leases',
                'constraints': [models.CheckConstraint(condition=models.Q(('last_day__gte', models.F('first_day'))), name='lease_ends_after_it_starts'), models.CheckConstraint(condition=models.Q(('monthly_rent__gt', 0)), name='lease_rent_positive'), models.CheckConstraint(condition=models.Q(('deposit__gte', 0)), name='lease_deposit_not_negative'), models.CheckConstraint(condition=models.Q(('anchor_day__gte', 1), ('anchor_day__lte', 31)), name='lease_anchor_day_exists'), models.UniqueConstraint(condition=models.Q(('contract_no', ''), _negated=True), fields=('contract_no',), name='lease_contract_once'), models.UniqueConstraint(condition=models.Q(('state', 'void'), _negated=True), fields=('renews',), name='lease_one_successor'), django.contrib.postgres.constraints.ExclusionConstraint(condition=models.Q(('state', 'signed')), expressions=[(tenants.models.leased.SelfRange('unit_id', 'unit_id', models.Value('[]')), '&&'), (tenants.models.leased.DateRange('first_day', 'last_day', models.Value('[]')), '&&')], name='lease_no_overlap_on_a_unit')],
                'indexes': [models.Index(fields=['last_day'], name='lease_last_day')],
            },
        ),
        migrations.CreateModel(
            name='BillAsk',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('lease', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.lease')),
                ('bill', models.CharField(max_length=100, verbose_name='bill')),
                ('month', models.CharField(max_length=7, verbose_name='month')),
                ('issued_at', models.DateTimeField(verbose_name='issued')),
                ('asked_at', models.DateTimeField(verbose_name='asked')),
            ],
            options={
                'verbose_name': 'question on a bill',
                'verbose_name_plural': 'questions on bills',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'bill'), name='bill_ask_once')],
            },
        ),
        migrations.CreateModel(
            name='LeaseRevision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('lease', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.lease')),
                ('revision', models.PositiveIntegerField()),
                ('terms', models.JSONField()),
                ('recorded_at', models.DateTimeField()),
            ],
            options={
                'verbose_name': 'lease revision',
                'verbose_name_plural': 'lease revisions',
                'constraints': [models.UniqueConstraint(fields=('lease', 'revision'), name='lease_revision_once')],
            },
        ),
        migrations.CreateModel(
            name='LeaseTenant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('lease', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.lease')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
                ('is_primary', models.BooleanField(default=True, verbose_name='primary tenant')),
            ],
            options={
                'verbose_name': 'tenant on a lease',
                'verbose_name_plural': 'tenants on leases',
                'constraints': [models.UniqueConstraint(fields=('lease', 'tenant'), name='lease_tenant_once')],
            },
        ),
        migrations.CreateModel(
            name='Link',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('token_hash', models.CharField(max_length=64, unique=True)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('lease', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.lease')),
                ('purpose', models.CharField(choices=[('proposal', 'renewal proposal'), ('mood', 'mood on a bill'), ('survey', 'survey'), ('roadmap', 'roadmap of the stay')], max_length=16, verbose_name='purpose')),
                ('carrier', models.CharField(max_length=140, unique=True, verbose_name='carrier')),
                ('created_at', models.DateTimeField(verbose_name='created')),
                ('expires_at', models.DateTimeField(verbose_name='expires')),
                ('revoked_at', models.DateTimeField(null=True, verbose_name='revoked')),
            ],
            options={
                'verbose_name': 'link',
                'verbose_name_plural': 'links',
                'indexes': [models.Index(fields=['lease', 'purpose'], name='link_of_lease')],
            },
        ),
        migrations.CreateModel(
            name='Click',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('link', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.link')),
                ('opened_at', models.DateTimeField(verbose_name='first opened')),
                ('proven_at', models.DateTimeField(null=True, verbose_name='proven')),
                ('proof', models.CharField(blank=True, max_length=8, verbose_name='proof')),
            ],
            options={
                'verbose_name': 'click',
                'verbose_name_plural': 'clicks',
            },
        ),
        migrations.CreateModel(
            name='Message',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=120, verbose_name='key')),
                ('klass', models.CharField(choices=[('marketing', 'marketing'), ('service', 'service'), ('code', 'code'), ('staff', 'staff'), ('system', 'system')], max_length=12, verbose_name='class')),
                ('tenant', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
                ('user', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('lease', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.lease')),
                ('channel', models.CharField(max_length=16, verbose_name='channel')),
                ('route', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=16), db_default=[], default=list, size=None, verbose_name='then by')),
                ('text', models.CharField(max_length=500, verbose_name='text')),
                ('forms', models.JSONField(db_default={}, default=dict)),
                ('priority', models.SmallIntegerField(db_default=0, default=0, verbose_name='priority')),
                ('link_purpose', models.CharField(blank=True, max_length=16)),
                ('claims', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.announcement')),
                ('stops_on_answer', models.BooleanField(default=False)),
                ('after_repairs', models.BooleanField(db_default=False, default=False)),
                ('is_personal', models.BooleanField(db_default=False, default=False)),
                ('state', models.CharField(choices=[('planned', 'planned'), ('queued', 'queued'), ('sending', 'sending'), ('unknown', 'unknown'), ('accepted', 'accepted'), ('delivered', 'delivered'), ('undelivered', 'undelivered'), ('failed', 'failed'), ('parked', 'parked'), ('suppressed', 'suppressed'), ('cancelled', 'cancelled'), ('expired', 'expired'), ('dead', 'dead')], default='planned', max_length=12, verbose_name='state')),
                ('reason', models.CharField(blank=True, max_length=200, verbose_name='reason')),
                ('not_before', models.DateTimeField(verbose_name='not before')),
                ('deadline', models.DateTimeField(verbose_name='deadline')),
                ('attempt', models.PositiveIntegerField(default=0, verbose_name='attempt')),
                ('failures', models.PositiveIntegerField(db_default=0, default=0)),
                ('doubtful', models.BooleanField(db_default=False, default=False)),
                ('recalled', models.BooleanField(db_default=False, default=False)),
                ('lease_until', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(verbose_name='created')),
                ('sent_at', models.DateTimeField(null=True, verbose_name='accepted at')),
                ('changed_at', models.DateTimeField(verbose_name='changed')),
            ],
            options={
                'verbose_name': 'message',
                'verbose_name_plural': 'messages',
                'constraints': [models.CheckConstraint(condition=models.Q(('tenant__isnull', False), ('user__isnull', False), ('klass', 'system'), _connector='OR'), name='message_has_a_recipient'), models.CheckConstraint(condition=models.Q(models.Q(('lease_until__isnull', False), ('state', 'sending')), models.Q(('state', 'sending'), _negated=True), _connector='OR'), name='message_sending_is_leased'), models.UniqueConstraint(fields=('key',), name='message_key_once')],
                'indexes': [models.Index(condition=models.Q(('state__in', ['planned', 'queued'])), fields=['not_before', 'id'], name='message_due'), models.Index(condition=models.Q(('state', 'sending')), fields=['lease_until'], name='message_sending'), models.Index(models.F('channel'), models.Case(models.When(klass='code', then=0), default=1), models.OrderBy(models.F('priority'), descending=True), models.F('not_before'), models.F('id'), condition=models.Q(('state', 'queued')), name='message_claim'), models.Index(condition=models.Q(('state', 'unknown')), fields=['channel', 'not_before'], name='message_unknown'), models.Index(condition=models.Q(('tenant__isnull', False)), fields=['tenant'], name='message_of_tenant'), models.Index(condition=models.Q(('user__isnull', False)), fields=['user'], name='message_of_user'), models.Index(condition=models.Q(('lease__isnull', False)), fields=['lease'], name='message_of_lease'), models.Index(condition=models.Q(('claims__isnull', False)), fields=['claims'], name='message_of_claim')],
            },
        ),
        migrations.CreateModel(
            name='Decision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('message', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.message')),
                ('verdict', models.CharField(choices=[('parked', 'parked'), ('released', 'sent again'), ('cancelled', 'given up')], max_length=12, verbose_name='decision')),
                ('why', models.CharField(blank=True, max_length=200, verbose_name='why')),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('at', models.DateTimeField(verbose_name='at')),
            ],
            options={
                'verbose_name': 'decision about a message',
                'verbose_name_plural': 'decisions about messages',
            },
        ),
        migrations.CreateModel(
            name='Attempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('message', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.message')),
                ('number', models.PositiveIntegerField(verbose_name='number')),
                ('channel', models.CharField(max_length=16, verbose_name='channel')),
                ('outcome', models.CharField(blank=True, max_length=16, verbose_name='outcome')),
                ('provider_ref', models.CharField(blank=True, max_length=120, verbose_name='provider reference')),
                ('detail', models.CharField(blank=True, max_length=300, verbose_name='detail')),
                ('address_hash', models.CharField(blank=True, db_default='', max_length=64)),
                ('started_at', models.DateTimeField(verbose_name='started')),
                ('finished_at', models.DateTimeField(null=True, verbose_name='finished')),
            ],
            options={
                'verbose_name': 'attempt',
                'verbose_name_plural': 'attempts',
                'constraints': [models.UniqueConstraint(fields=('message', 'number'), name='attempt_once')],
                'indexes': [models.Index(condition=models.Q(('provider_ref', ''), _negated=True), fields=['channel', 'provider_ref'], name='attempt_ref')],
            },
        ),
        migrations.CreateModel(
            name='Grant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=120, unique=True, verbose_name='key')),
                ('kind', models.CharField(choices=[('granted', 'granted'), ('redeemed', 'redeemed'), ('revoked', 'revoked'), ('reversed', 'reversed')], db_default='granted', default='granted', max_length=8, verbose_name='kind')),
                ('of', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.grant')),
                ('number', models.PositiveSmallIntegerField(db_default=0, default=0, verbose_name='number')),
                ('perk', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.perk')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
                ('lease', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.lease')),
                ('quantity', models.SmallIntegerField(default=1, verbose_name='quantity')),
                ('cost', models.DecimalField(db_default=0, decimal_places=2, default=0, max_digits=10, verbose_name='cost')),
                ('owner', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('reason', models.CharField(max_length=200, verbose_name='reason')),
                ('voucher_hash', models.CharField(blank=True, db_default='', max_length=64)),
                ('granted_at', models.DateTimeField(verbose_name='granted')),
                ('expires_at', models.DateTimeField(null=True, verbose_name='expires')),
            ],
            options={
                'verbose_name': 'granted perk',
                'verbose_name_plural': 'granted perks',
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('kind', 'granted'), ('number', 0), ('of', None), ('quantity', 1)), models.Q(('kind', 'redeemed'), ('number__gte', 1), ('of__isnull', False), ('quantity', 0)), models.Q(('kind', 'revoked'), ('number__gte', 1), ('of__isnull', False), ('quantity', -1)), models.Q(('kind', 'reversed'), ('number__gte', 2), ('of__isnull', False), ('quantity__in', [0, 1])), _connector='OR'), name='grant_is_of_its_kind'), models.CheckConstraint(condition=models.Q(('kind', 'granted'), models.Q(('kind__in', ['redeemed', 'revoked']), ('number__in', range(1, 100, 2))), models.Q(('kind', 'reversed'), ('number__in', range(2, 100, 2))), _connector='OR'), name='grant_closes_and_reverses_by_turns'), models.UniqueConstraint(condition=models.Q(('of__isnull', False)), fields=('of', 'number'), name='grant_answered_once'), models.UniqueConstraint(condition=models.Q(('voucher_hash', ''), _negated=True), fields=('voucher_hash',), name='grant_voucher_once')],
                'indexes': [models.Index(fields=['tenant', 'perk'], name='grant_of_tenant')],
            },
        ),
        migrations.CreateModel(
            name='Promotion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('lease', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.lease')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
                ('before', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
                ('at', models.DateTimeField(verbose_name='at')),
                ('by', models.CharField(max_length=80, verbose_name='by')),
                ('undone_at', models.DateTimeField(null=True, verbose_name='undone')),
            ],
            options={
                'verbose_name': 'promotion on a lease',
                'verbose_name_plural': 'promotions on leases',
                'constraints': [models.UniqueConstraint(condition=models.Q(('undone_at__isnull', True)), fields=('lease',), name='promotion_once')],
            },
        ),
        migrations.CreateModel(
            name='Receipt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('channel', models.CharField(max_length=16, verbose_name='channel')),
                ('digest', models.CharField(max_length=64, unique=True)),
                ('key', models.CharField(blank=True, max_length=120)),
                ('ref', models.CharField(blank=True, max_length=120, verbose_name='provider reference')),
                ('address', models.CharField(blank=True, max_length=64)),
                ('address_hash', models.CharField(blank=True, db_default='', max_length=64)),
                ('outcome', models.CharField(max_length=12, verbose_name='outcome')),
                ('detail', models.CharField(blank=True, max_length=200, verbose_name='detail')),
                ('said_at', models.DateTimeField(null=True, verbose_name='said')),
                ('received_at', models.DateTimeField(verbose_name='received')),
                ('message', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.message')),
                ('settled_at', models.DateTimeField(null=True, verbose_name='settled')),
            ],
            options={
                'verbose_name': 'receipt',
                'verbose_name_plural': 'receipts',
                'indexes': [models.Index(condition=models.Q(('settled_at__isnull', True)), fields=['received_at'], name='receipt_open')],
            },
        ),
        migrations.CreateModel(
            name='Survey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('lease', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.lease')),
                ('quarter', models.DateField(verbose_name='quarter')),
                ('stay_months', models.PositiveSmallIntegerField(verbose_name='lived here, months')),
                ('asked_at', models.DateTimeField(verbose_name='asked')),
                ('score', models.PositiveSmallIntegerField(null=True, verbose_name='score')),
                ('reasons', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=16), db_default=[], default=list, size=None, verbose_name='reasons')),
                ('words', models.CharField(blank=True, db_default='', max_length=300, verbose_name='in their words')),
                ('answered_at', models.DateTimeField(null=True, verbose_name='answered')),
                ('changed_at', models.DateTimeField(null=True, verbose_name='changed')),
            ],
            options={
                'verbose_name': 'survey',
                'verbose_name_plural': 'surveys',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'quarter'), name='survey_once_a_quarter'), models.CheckConstraint(condition=models.Q(('quarter__day', 1), ('quarter__month__in', [1, 4, 7, 10])), name='survey_of_quarter'), models.CheckConstraint(condition=models.Q(models.Q(('answered_at', None), ('score', None)), models.Q(('answered_at__isnull', False), ('score__lte', 10)), _connector='OR'), name='survey_score')],
                'indexes': [models.Index(models.F('quarter'), models.F('lease'), name='survey_of_quarter_by_lease')],
            },
        ),
        migrations.CreateModel(
            name='Event',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('source', models.CharField(max_length=16, verbose_name='source')),
                ('source_id', models.CharField(max_length=128, verbose_name='source id')),
                ('kind', models.CharField(max_length=32, verbose_name='kind')),
                ('at', models.DateTimeField(verbose_name='at')),
                ('tenant', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='tenants.tenant')),
                ('unit', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='tenants.unit')),
                ('data', models.JSONField(default=dict, verbose_name='data')),
                ('recorded_at', models.DateTimeField(verbose_name='recorded')),
                ('attributed_at', models.DateTimeField(null=True, verbose_name='tenant learnt')),
            ],
            options={
                'verbose_name': 'event',
                'verbose_name_plural': 'events',
                'constraints': [models.UniqueConstraint(fields=('source', 'source_id'), name='event_once'), models.CheckConstraint(condition=models.Q(('tenant__isnull', False), ('unit__isnull', False), _connector='OR'), name='event_belongs_to_someone')],
                'indexes': [models.Index(fields=['tenant', 'kind', 'at'], name='event_of_tenant'), models.Index(condition=models.Q(('kind__startswith', 'ticket.')), fields=['unit', 'kind', 'at'], name='event_of_unit'), models.Index(condition=models.Q(('kind__in', ('power.read', 'water.read', 'door.opened')), _negated=True), fields=['kind', 'at'], include=('tenant',), name='event_of_kind'), models.Index(condition=models.Q(('tenant__isnull', True)), fields=['unit', 'at'], name='event_of_nobody'), django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=['recorded_at'], name='event_recorded', pages_per_range=32)],
            },
        ),
        migrations.CreateModel(
            name='Device',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('unit', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.unit')),
                ('ref', models.CharField(max_length=64, unique=True, verbose_name='reference')),
                ('what', models.CharField(choices=[('lock', 'lock'), ('power', 'power meter'), ('water', 'water meter')], max_length=8, verbose_name='kind')),
                ('last_seq', models.BigIntegerField(null=True)),
                ('last_at', models.DateTimeField(null=True)),
            ],
            options={
                'verbose_name': 'device',
                'verbose_name_plural': 'devices',
            },
        ),
        migrations.CreateModel(
            name='ContractDecision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('contract_no', models.CharField(max_length=64, verbose_name='contract no.')),
                ('revision', models.PositiveIntegerField(verbose_name='revision')),
                ('unit', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.unit', verbose_name='unit')),
                ('lease', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.lease')),
                ('stood_at', models.PositiveIntegerField(null=True)),
                ('terms', models.JSONField()),
                ('waited_for', models.CharField(max_length=300, verbose_name='waited because')),
                ('verdict', models.CharField(choices=[('accepted', 'accepted'), ('refused', 'refused')], max_length=8, verbose_name='decision')),
                ('why', models.CharField(max_length=200, verbose_name='reason')),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('at', models.DateTimeField(verbose_name='at')),
                ('waited_since', models.DateTimeField(verbose_name='waited since')),
                ('undone_at', models.DateTimeField(null=True, verbose_name='undone')),
                ('undone_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='undone by')),
            ],
            options={
                'verbose_name': 'decision about a contract',
                'verbose_name_plural': 'decisions about contracts',
                'constraints': [models.UniqueConstraint(condition=models.Q(('undone_at__isnull', True)), fields=('contract_no', 'revision'), name='contract_decision_once')],
            },
        ),
        migrations.CreateModel(
            name='Alias',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.CharField(max_length=16, verbose_name='source')),
                ('ref', models.CharField(max_length=128, verbose_name='reference')),
                ('tenant', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('unit', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.unit')),
                ('origin', models.CharField(blank=True, db_default='', max_length=120, verbose_name='learnt from')),
                ('recorded_at', models.DateTimeField()),
            ],
            options={
                'verbose_name': 'alias',
                'verbose_name_plural': 'aliases',
                'constraints': [models.UniqueConstraint(fields=('source', 'ref'), name='alias_once'), models.CheckConstraint(condition=models.Q(models.Q(('tenant__isnull', False), ('unit__isnull', True)), models.Q(('tenant__isnull', True), ('unit__isnull', False)), _connector='OR'), name='alias_names_one')],
            },
        ),
        migrations.CreateModel(
            name='WaitingContract',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('contract_no', models.CharField(max_length=64, verbose_name='contract no.')),
                ('revision', models.PositiveIntegerField(verbose_name='revision')),
                ('unit', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.unit', verbose_name='unit')),
                ('terms', models.JSONField()),
                ('reason', models.CharField(max_length=300, verbose_name='reason')),
                ('recorded_at', models.DateTimeField(verbose_name='waits since')),
            ],
            options={
                'verbose_name': 'waiting contract',
                'verbose_name_plural': 'waiting contracts',
                'constraints': [models.UniqueConstraint(fields=('contract_no', 'revision'), name='waiting_contract_once')],
            },
        ),
        migrations.CreateModel(
            name='WaitingEvent',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('source', models.CharField(max_length=16, verbose_name='source')),
                ('source_id', models.CharField(max_length=128, verbose_name='source id')),
                ('kind', models.CharField(max_length=32, verbose_name='kind')),
                ('at', models.DateTimeField(verbose_name='at')),
                ('who_source', models.CharField(max_length=16)),
                ('who_ref', models.CharField(max_length=128)),
                ('data', models.JSONField(default=dict, verbose_name='data')),
                ('recorded_at', models.DateTimeField(verbose_name='recorded')),
            ],
            options={
                'verbose_name': 'waiting event',
                'verbose_name_plural': 'waiting events',
                'constraints': [models.UniqueConstraint(fields=('source', 'source_id'), name='waiting_event_once')],
                'indexes': [models.Index(fields=['who_source', 'who_ref'], name='waiting_event_of_alias')],
            },
        ),
        migrations.CreateModel(
            name='Asking',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('what', models.CharField(choices=[('moods', 'the mood on each bill'), ('surveys', 'the quarterly survey')], max_length=8, verbose_name='question')),
                ('is_on', models.BooleanField(verbose_name='on')),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('at', models.DateTimeField(verbose_name='at')),
            ],
            options={
                'verbose_name': 'switching of questions',
                'verbose_name_plural': 'switchings of questions',
                'indexes': [models.Index(fields=['what', '-at'], name='asking_latest')],
            },
        ),
        migrations.AddField(
            model_name='lease',
            name='tenants',
            field=models.ManyToManyField(related_name='+', through='tenants.LeaseTenant', to='tenants.tenant'),
        ),
        migrations.RunSQL(LAWFULLY, LAWFULLY_OFF),
        migrations.RunSQL(ROUTES, ROUTES_OFF),
        migrations.RunSQL(TEMPLATES, TEMPLATES_OFF),
        migrations.RunSQL(HOLDOUT, HOLDOUT_OFF),
        migrations.RunSQL(CONSENTS, CONSENTS_OFF),
        migrations.RunSQL(PERKS, PERKS_OFF),
        migrations.RunSQL(FEATURES, FEATURES_OFF),
    ]
