"""The trial balance: proves from the legs that the books hold, and lists what does not.

Triggers and constraints keep most of this true; the proof also notices who switched them off, restored a
backup halfway, or wrote a balance by hand. Each check is one statement on one snapshot, so postings may go
on meanwhile; sorting and grouping happen in PostgreSQL, so memory stays flat however long the books are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db import connection

SHOWN_PER_CHECK = 20
"""Findings listed in full per check; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Check:
    """`sql` selects one text per thing that is wrong."""

    sentence: str
    sql: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A check that failed: how often, and what is wrong in the first cases."""

    sentence: str
    count: int
    cases: tuple[str, ...]


CHECKS = (
    Check(
        "every kept balance is the sum of its legs",
        """
        SELECT format('%s (%s) stores %s, its legs sum to %s',
                      account.address, account.asset, account.balance, coalesce(legs.total, 0))
        FROM billing_account AS account
        LEFT JOIN (SELECT account_id, sum(amount) AS total FROM billing_leg GROUP BY account_id) AS legs
          ON legs.account_id = account.id
        WHERE account.kept AND account.balance <> coalesce(legs.total, 0)
        ORDER BY account.id
        """,
    ),
    Check(
        "every chain of balances is unbroken",
        """
        SELECT format('leg %s of %s: %s after %s, where %s was expected',
                      chain.id, account.address, chain.balance_after, chain.amount, chain.expected)
        FROM (
            SELECT leg.id, leg.account_id, leg.amount, leg.balance_after,
                   leg.amount + coalesce(lag(leg.balance_after) OVER
                       (PARTITION BY leg.account_id ORDER BY leg.entry_id), 0) AS expected
            FROM billing_leg AS leg
            WHERE leg.account_id IN (SELECT id FROM billing_account WHERE kept)
        ) AS chain
        JOIN billing_account AS account ON account.id = chain.account_id
        WHERE chain.balance_after IS DISTINCT FROM chain.expected
        ORDER BY chain.id
        """,
    ),
    Check(
        "legs of platform accounts carry no balance",
        """
        SELECT format('leg %s of %s says %s', leg.id, account.address, leg.balance_after)
        FROM billing_leg AS leg JOIN billing_account AS account ON account.id = leg.account_id
        WHERE NOT account.kept AND leg.balance_after IS NOT NULL
        ORDER BY leg.id
        """,
    ),
    Check(
        "every asset sums to zero over all accounts",
        "SELECT format('%s sums to %s', asset, sum(amount)) FROM billing_leg"
        " GROUP BY asset HAVING sum(amount) <> 0 ORDER BY asset",
    ),
    Check(
        "every entry sums to zero in each asset",
        """
        SELECT format('entry %s (%s): %s sums to %s', entry.id, entry.key, legs.asset, legs.total)
        FROM (
            SELECT entry_id, asset, sum(amount) AS total FROM billing_leg
            GROUP BY entry_id, asset HAVING sum(amount) <> 0
        ) AS legs
        JOIN billing_entry AS entry ON entry.id = legs.entry_id
        ORDER BY entry.id
        """,
    ),
    Check(
        "every entry has legs",
        """
        SELECT format('entry %s (%s) has none', entry.id, entry.key)
        FROM billing_entry AS entry
        WHERE NOT EXISTS (SELECT FROM billing_leg AS leg WHERE leg.entry_id = entry.id)
        ORDER BY entry.id
        """,
    ),
    Check(
        "every leg repeats its entry's kind and time, and its account's asset",
        """
        SELECT format('leg %s says %s %s %s; its entry %s %s, its account %s', leg.id, leg.kind,
                      leg.effective_at, leg.asset, entry.kind, entry.effective_at, account.asset)
        FROM billing_leg AS leg
        LEFT JOIN billing_entry AS entry ON entry.id = leg.entry_id
        LEFT JOIN billing_account AS account ON account.id = leg.account_id
        WHERE (leg.kind, leg.effective_at, leg.asset)
              IS DISTINCT FROM (entry.kind, entry.effective_at, account.asset)
        ORDER BY leg.id
        """,
    ),
    Check(
        "every balance keeps to its floor",
        "SELECT format('%s holds %s, its floor is %s', address, balance, floor) FROM billing_account"
        " WHERE balance < floor ORDER BY id",
    ),
)


def check(progress: Callable[[str], None] = lambda sentence: None) -> list[Finding]:
    """Run every check, announcing each to `progress`; an empty list means that the books hold."""
    return list(_findings(progress))


def _findings(progress: Callable[[str], None]) -> Iterator[Finding]:
    for each in CHECKS:
        progress(each.sentence)
        with connection.cursor() as cursor:
            # No parameters: the percent signs belong to format().
            cursor.execute(
                f"SELECT wrong.*, count(*) OVER () FROM ({each.sql}) AS wrong LIMIT {SHOWN_PER_CHECK}"  # noqa: S608
            )
            rows = cursor.fetchall()
        if rows:
            yield Finding(each.sentence, rows[0][1], tuple(case for case, _ in rows))
