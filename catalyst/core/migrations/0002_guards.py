"""Functions that refuse edits of facts, and the application's own database role.

Triggers hold no business logic: nothing is computed or repaired here.
"""

from django.contrib.postgres.operations import BtreeGistExtension
from django.db import migrations

FORBID_MUTATION = """
CREATE FUNCTION forbid_mutation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', tg_table_name USING errcode = 'restrict_violation';
END $$;
"""

# Arguments: columns that may change · columns that may be set once · legal steps of "state" (empty: no rule).
GUARD_ROW = """
CREATE FUNCTION guard_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  o jsonb := to_jsonb(old);
  n jsonb := to_jsonb(new);
  c text;
  free text[] := string_to_array(tg_argv[0], ',');
  once text[] := string_to_array(tg_argv[1], ',');
  steps text[] := string_to_array(tg_argv[2], ',');
BEGIN
  IF (o ->> 'state') <> (n ->> 'state') AND NOT ((o ->> 'state') || '>' || (n ->> 'state')) = ANY (steps) THEN
    RAISE EXCEPTION '%: illegal step % > %', tg_table_name, o ->> 'state', n ->> 'state'
      USING errcode = 'restrict_violation';
  END IF;
  FOREACH c IN ARRAY once LOOP
    IF o ->> c IS NOT NULL AND o -> c IS DISTINCT FROM n -> c THEN
      RAISE EXCEPTION '%.% is set once', tg_table_name, c USING errcode = 'restrict_violation';
    END IF;
  END LOOP;
  IF (o - free - once) <> (n - free - once) THEN
    RAISE EXCEPTION '% is immutable', tg_table_name USING errcode = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$;
"""

# Roles belong to the whole server, so several databases may try to make the same one at once.
APPLICATION_ROLE = """
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'catalyst_app') THEN
    BEGIN
      CREATE ROLE catalyst_app NOLOGIN;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
  END IF;
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    EXECUTE format('GRANT catalyst_app TO %I', current_user);
  END IF;
END $$;
GRANT USAGE ON SCHEMA public TO catalyst_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO catalyst_app;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO catalyst_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO catalyst_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO catalyst_app;
REVOKE INSERT, UPDATE, DELETE ON core_currency FROM catalyst_app;
REVOKE DELETE ON core_outbox, core_delivery FROM catalyst_app;
"""
APPLICATION_ROLE_BACK = """
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM catalyst_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON SEQUENCES FROM catalyst_app;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM catalyst_app;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM catalyst_app;
REVOKE USAGE ON SCHEMA public FROM catalyst_app;
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0001_initial")]

    operations = [
        BtreeGistExtension(),
        migrations.RunSQL(FORBID_MUTATION, "DROP FUNCTION forbid_mutation();"),
        migrations.RunSQL(GUARD_ROW, "DROP FUNCTION guard_row();"),
        migrations.RunSQL(APPLICATION_ROLE, APPLICATION_ROLE_BACK),
        migrations.RunSQL(
            """
            CREATE TRIGGER outbox_guard AFTER UPDATE ON core_outbox FOR EACH ROW
              EXECUTE FUNCTION guard_row('', 'sequence,sent_at', '');
            CREATE TRIGGER outbox_no_delete BEFORE DELETE ON core_outbox FOR EACH ROW
              EXECUTE FUNCTION forbid_mutation();
            """,
            "DROP TRIGGER outbox_guard ON core_outbox; DROP TRIGGER outbox_no_delete ON core_outbox;",
        ),
    ]
