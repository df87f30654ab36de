"""The same lawful moves, looked up where the trigger decides whether to fire: its function runs for unlawful ones only.

Every message moves twice on its way, and calling the function was a fourth of what a move costs.
"""

from django.db import migrations

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
GUARD = f"""
DROP TRIGGER message_moves_lawfully ON tenants_message;
CREATE OR REPLACE FUNCTION message_moves_lawfully() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a message does not go from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER message_moves_lawfully BEFORE UPDATE OF state ON tenants_message FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state AND OLD.state || '>' || NEW.state NOT IN ({LAWFUL}))
    EXECUTE FUNCTION message_moves_lawfully();
"""
UNGUARD = f"""
DROP TRIGGER message_moves_lawfully ON tenants_message;
CREATE OR REPLACE FUNCTION message_moves_lawfully() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state || '>' || NEW.state NOT IN ({LAWFUL}) THEN
        RAISE EXCEPTION 'a message does not go from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER message_moves_lawfully BEFORE UPDATE OF state ON tenants_message
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION message_moves_lawfully();
"""  # noqa: S608


class Migration(migrations.Migration):
    dependencies = [("tenants", "0030_asked_how_it_is")]
    operations = [migrations.RunSQL(GUARD, UNGUARD)]
