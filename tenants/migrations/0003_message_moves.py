"""The lawful moves of a message, guarded by the database: no code path can send twice by mistake."""

from django.db import migrations

GUARD = """
CREATE FUNCTION message_moves_lawfully() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT (OLD.state || '>' || NEW.state = ANY (ARRAY[
        'planned>queued', 'planned>suppressed',
        'queued>sending', 'queued>suppressed', 'queued>cancelled', 'queued>expired',
        'sending>accepted', 'sending>queued', 'sending>failed', 'sending>unknown', 'sending>dead',
        'unknown>accepted', 'unknown>delivered', 'unknown>undelivered', 'unknown>failed', 'unknown>parked',
        'unknown>queued',
        'accepted>delivered', 'accepted>undelivered',
        'parked>queued', 'parked>cancelled'
    ])) THEN
        RAISE EXCEPTION 'a message does not go from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER message_moves_lawfully BEFORE UPDATE OF state ON tenants_message
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION message_moves_lawfully();
"""
UNGUARD = "DROP TRIGGER message_moves_lawfully ON tenants_message; DROP FUNCTION message_moves_lawfully();"


class Migration(migrations.Migration):
    dependencies = [("tenants", "0002_lease_contract_once")]
    operations = [migrations.RunSQL(GUARD, UNGUARD)]
