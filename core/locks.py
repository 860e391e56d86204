"""Taking turns on things that have no row to lock yet."""

from django.db import connection

from core.db import transaction_required

# Sorted by the number that is locked, so that two callers with the same names cannot wait for each other.
_LOCK = """
SELECT pg_advisory_xact_lock(number)
FROM (
    SELECT DISTINCT hashtextextended(name, 0) AS number FROM unnest(%s::text[]) AS name ORDER BY 1
) AS numbers
"""


@transaction_required
def lock_names(*names: str) -> None:
    """Hold these names until the transaction ends; who wants one of them waits. Blank names are skipped."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [[name for name in names if name]])
