"""What playbooks were becomes their first version, released to all; what had been switched off a version before it."""

from django.db import migrations

CARRY = """
INSERT INTO campaigns_playbookversion (playbook_id, number, is_draft, lead_days, starts_on, leaves_with_segment,
    fix_first, unfixed_percent, under_way, note, at)
SELECT playbook.id, n, false, 60, '{}', true, true, 0, 'finish', '', now()
FROM campaigns_playbook playbook, generate_series(0, 1) n
WHERE n = 1 OR EXISTS (SELECT FROM campaigns_step WHERE playbook_id = playbook.id AND NOT is_active);

INSERT INTO campaigns_release (version_id, percent, reach, state, why, asked_at, decided_at)
SELECT id, 100, 0, 'standing', '', now(), now() FROM campaigns_playbookversion WHERE number = 1;

INSERT INTO campaigns_stepversion (version_id, step_id, anchor, days, ends_from, ends_to, kind, rule, text,
    claims_topic, grants_id)
SELECT version.id, step.id, 'end', step.days_before_end, 20, 75, 'ask', step.rule, step.text, step.claims_topic,
    step.grants_id
FROM campaigns_step step
JOIN campaigns_playbookversion version ON version.playbook_id = step.playbook_id
    AND version.number = CASE WHEN step.is_active THEN 1 ELSE 0 END;

UPDATE campaigns_enrolment e
SET version_id = version.id, start_on = lease.last_day - 60, start_why = '到期前 60 天', is_final = left_on IS NOT NULL
FROM campaigns_playbookversion version, tenants_lease lease
WHERE version.playbook_id = e.playbook_id AND version.number = 1 AND lease.id = e.lease_id;

UPDATE campaigns_push push SET said_id = said.id FROM campaigns_stepversion said WHERE said.step_id = push.step_id;
"""


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0004_playbook_versions")]
    operations = [migrations.RunSQL(CARRY, migrations.RunSQL.noop)]
