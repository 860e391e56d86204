"""The transaction that a doorway opens around its verb."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from core.errors import RecordedRefusal


@contextmanager
def doorway() -> Iterator[None]:
    """A durable transaction that keeps the record of a `RecordedRefusal`, and undoes every other failure."""
    recorded = None
    with transaction.atomic(durable=True):
        try:
            yield
        except RecordedRefusal as refusal:
            recorded = refusal
    if recorded is not None:
        raise recorded
