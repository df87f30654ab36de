"""A message changes its channel only where it certainly has not gone by the old one; what it says never changes.

Falling back to a second channel while the first is unknown would tell a tenant twice.
"""

from django.db import migrations

GUARD = """
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
UNGUARD = "DROP TRIGGER message_keeps_what_it_says ON tenants_message; DROP FUNCTION message_keeps_what_it_says();"


class Migration(migrations.Migration):
    dependencies = [("tenants", "0015_sending")]
    operations = [migrations.RunSQL(GUARD, UNGUARD)]
