"""The promises that PostgreSQL keeps for the ledger, whoever writes to it."""

from django.db import migrations

LEGS_BALANCE = """
CREATE FUNCTION billing_legs_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE broken record;
BEGIN
    SELECT entry_id, asset, sum(amount) AS total INTO broken
    FROM fresh GROUP BY entry_id, asset HAVING sum(amount) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'legs of entry % do not sum to zero in %: %', broken.entry_id, broken.asset, broken.total
            USING ERRCODE = 'check_violation', CONSTRAINT = 'billing_legs_of_an_entry_sum_to_zero';
    END IF;
    -- Legs that sum to zero among themselves still may not join an entry that is already written. One look
    -- into the index per entry; the other way round, each entry would walk through all the new legs.
    SELECT arrived.entry_id INTO broken
    FROM (SELECT entry_id, count(*) AS legs FROM fresh GROUP BY entry_id) AS arrived
    WHERE arrived.legs <> (SELECT count(*) FROM billing_leg leg WHERE leg.entry_id = arrived.entry_id)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entry % already has its legs', broken.entry_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'billing_legs_of_an_entry_arrive_together';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER billing_legs_balance AFTER INSERT ON billing_leg
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION billing_legs_balance();
"""

APPEND_ONLY = """
CREATE FUNCTION billing_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_TABLE_NAME || '_is_append_only';
END $$;
CREATE TRIGGER billing_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_entry
    FOR EACH STATEMENT EXECUTE FUNCTION billing_append_only();
CREATE TRIGGER billing_leg_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_leg
    FOR EACH STATEMENT EXECUTE FUNCTION billing_append_only();
CREATE TRIGGER billing_registryevent_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_registryevent
    FOR EACH STATEMENT EXECUTE FUNCTION billing_append_only();
"""

# An account may change its balance and nothing else.
ACCOUNT_IS_FIXED = """
CREATE FUNCTION billing_account_is_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'account % is fixed', OLD.address
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'billing_account_is_fixed';
END $$;
CREATE TRIGGER billing_account_is_fixed BEFORE UPDATE ON billing_account FOR EACH ROW
    WHEN ((OLD.address, OLD.asset, OLD.kept, OLD.floor, OLD.orchestrator_id)
          IS DISTINCT FROM (NEW.address, NEW.asset, NEW.kept, NEW.floor, NEW.orchestrator_id))
    EXECUTE FUNCTION billing_account_is_fixed();
"""

# A leg counts what its account counts.
LEG_ASSET = """
ALTER TABLE billing_leg ADD CONSTRAINT billing_leg_asset_is_its_accounts
    FOREIGN KEY (account_id, asset) REFERENCES billing_account (id, asset);
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]

    operations = [
        migrations.RunSQL(
            LEGS_BALANCE,
            "DROP TRIGGER billing_legs_balance ON billing_leg; DROP FUNCTION billing_legs_balance();",
        ),
        migrations.RunSQL(
            APPEND_ONLY,
            "DROP TRIGGER billing_entry_append_only ON billing_entry;"
            "DROP TRIGGER billing_leg_append_only ON billing_leg;"
            "DROP TRIGGER billing_registryevent_append_only ON billing_registryevent;"
            "DROP FUNCTION billing_append_only();",
        ),
        migrations.RunSQL(
            ACCOUNT_IS_FIXED,
            "DROP TRIGGER billing_account_is_fixed ON billing_account;"
            "DROP FUNCTION billing_account_is_fixed();",
        ),
        migrations.RunSQL(
            LEG_ASSET, "ALTER TABLE billing_leg DROP CONSTRAINT billing_leg_asset_is_its_accounts;"
        ),
    ]
