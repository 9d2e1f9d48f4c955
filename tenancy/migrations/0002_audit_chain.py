"""The audit trail: one function that appends, and triggers that refuse everything else."""

from django.db import migrations

# The row of tenancy_audithead is the lock of one chain. jsonb has one text form, so the hash can be checked again later.
APPEND_AUDIT = """
CREATE FUNCTION append_audit(
  p_stream text, p_actor text, p_action text, p_target text, p_detail jsonb, p_request_id text
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  n bigint;
  previous bytea;
  moment timestamptz := clock_timestamp();
  digest bytea;
BEGIN
  INSERT INTO tenancy_audithead AS h (stream, last_seq, last_hash) VALUES (p_stream, 0, sha256(convert_to(p_stream, 'UTF8')))
    ON CONFLICT (stream) DO NOTHING;
  SELECT last_seq + 1, last_hash INTO n, previous FROM tenancy_audithead WHERE stream = p_stream FOR UPDATE;
  digest := audit_digest(previous, p_stream, n, moment, p_actor, p_action, p_target, p_detail, p_request_id);
  INSERT INTO tenancy_auditentry (stream, seq, prev_hash, hash, at, actor, action, target, detail, request_id)
    VALUES (p_stream, n, previous, digest, moment, p_actor, p_action, p_target, p_detail, p_request_id);
  UPDATE tenancy_audithead SET last_seq = n, last_hash = digest WHERE stream = p_stream;
  RETURN n;
END $$;
"""

AUDIT_DIGEST = """
CREATE FUNCTION audit_digest(
  previous bytea, p_stream text, n bigint, moment timestamptz, p_actor text, p_action text, p_target text,
  p_detail jsonb, p_request_id text
) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
  SELECT sha256(previous || convert_to(jsonb_build_array(
    p_stream, n, (extract(epoch FROM moment) * 1000000)::bigint, p_actor, p_action, p_target, p_detail, p_request_id
  )::text, 'UTF8'))
$$;
"""

TRIGGERS = """
CREATE TRIGGER auditentry_readonly BEFORE UPDATE OR DELETE ON tenancy_auditentry FOR EACH ROW
  EXECUTE FUNCTION forbid_mutation();
CREATE TRIGGER auditentry_no_truncate BEFORE TRUNCATE ON tenancy_auditentry FOR EACH STATEMENT
  EXECUTE FUNCTION forbid_mutation();
REVOKE UPDATE, DELETE ON tenancy_auditentry FROM catalyst_app;
REVOKE DELETE ON tenancy_audithead, tenancy_organization, tenancy_environment FROM catalyst_app;
CREATE TRIGGER organization_guard AFTER UPDATE ON tenancy_organization FOR EACH ROW
  EXECUTE FUNCTION guard_row('name,name_ar', '', '');
CREATE TRIGGER environment_guard AFTER UPDATE ON tenancy_environment FOR EACH ROW
  EXECUTE FUNCTION guard_row('status,flux_key_sealed,head_commit,head_seq,lease_owner,lease_until', '', '');
"""
TRIGGERS_BACK = """
DROP TRIGGER environment_guard ON tenancy_environment;
DROP TRIGGER organization_guard ON tenancy_organization;
DROP TRIGGER auditentry_no_truncate ON tenancy_auditentry;
DROP TRIGGER auditentry_readonly ON tenancy_auditentry;
"""


class Migration(migrations.Migration):
    dependencies = [("tenancy", "0001_initial"), ("core", "0002_guards")]

    operations = [
        migrations.RunSQL(AUDIT_DIGEST, "DROP FUNCTION audit_digest;"),
        migrations.RunSQL(APPEND_AUDIT, "DROP FUNCTION append_audit;"),
        migrations.RunSQL(TRIGGERS, TRIGGERS_BACK),
    ]
