"""The SQL of posting. Each statement takes whole columns as arrays, so a batch costs what one entry costs."""

import json
from collections.abc import Sequence
from typing import Any

from billing.models import Entry

# Kept accounts are locked in id order, contra accounts only read. Nothing is locked while an account is
# missing (its row comes back without an id): making it may have to wait for another transaction that is
# making it too, and who waits must not hold locks that were taken out of order. A locked row comes back
# with the balance that the last holder of the lock left, not the one this statement's snapshot saw.
LOCK_ACCOUNTS = """
WITH wanted AS MATERIALIZED (
    SELECT wanted.address, wanted.asset, account.id, account.kept, account.floor
    FROM unnest(%s::text[], %s::text[]) AS wanted (address, asset)
    LEFT JOIN billing_account AS account USING (address, asset)
), locked AS (
    SELECT account.id, account.balance
    FROM billing_account AS account JOIN wanted USING (id)
    WHERE wanted.kept AND NOT EXISTS (SELECT FROM wanted WHERE id IS NULL)
    ORDER BY account.id
    FOR NO KEY UPDATE OF account
)
SELECT wanted.address, wanted.asset, wanted.id, locked.balance, wanted.floor
FROM wanted LEFT JOIN locked USING (id)
"""

CREATE_ACCOUNTS = """
INSERT INTO billing_account (address, asset, kept, floor, orchestrator_id, balance)
SELECT address, asset, kept, floor, orchestrator_id, CASE WHEN kept THEN 0 END
FROM unnest(%s::text[], %s::text[], %s::bool[], %s::numeric[], %s::bigint[])
    AS place (address, asset, kept, floor, orchestrator_id)
ORDER BY address, asset
ON CONFLICT (address, asset) DO NOTHING
"""

# Somebody who writes the same key at this moment is waited for; then either their entry stands and this
# row is left out, or theirs was rolled back and this one is written.
INSERT_ENTRIES = """
INSERT INTO billing_entry
    (key, kind, reason, metadata, orchestrator_id, effective_at, recorded_at, actor, reverses_id)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::jsonb[], %s::bigint[],
                     %s::timestamptz[], %s::timestamptz[], %s::text[], %s::bigint[])
ON CONFLICT (key) DO NOTHING
RETURNING key, id
"""

INSERT_LEGS = """
WITH legs AS (
    INSERT INTO billing_leg (entry_id, account_id, asset, amount, balance_after, kind, effective_at)
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::numeric[], %s::numeric[],
                         %s::text[], %s::timestamptz[])
)
UPDATE billing_account AS account SET balance = moved.balance
FROM unnest(%s::bigint[], %s::numeric[]) AS moved (id, balance)
WHERE account.id = moved.id
"""


def entry_columns(entries: Sequence[Entry]) -> list[list[Any]]:
    """The parameters of `INSERT_ENTRIES`."""
    return [
        [entry.key for entry in entries],
        [entry.kind for entry in entries],
        [entry.reason for entry in entries],
        [json.dumps(entry.metadata) for entry in entries],
        [entry.orchestrator_id for entry in entries],
        [entry.effective_at for entry in entries],
        [entry.recorded_at for entry in entries],
        [entry.actor for entry in entries],
        [entry.reverses_id for entry in entries],
    ]
