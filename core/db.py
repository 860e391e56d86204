"""Who owns the transaction: doorways open one, services that write require it, outside calls refuse it."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import connection

P = ParamSpec("P")
R = TypeVar("R")


def transaction_required(service: Callable[P, R]) -> Callable[P, R]:
    """Refuse to run outside a transaction: half of a verb must never be committed."""

    @wraps(service)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        if not connection.in_atomic_block:
            raise RuntimeError(f"{service.__qualname__} writes and needs a transaction around it")
        return service(*args, **kwargs)

    return guarded


def no_transaction(service: Callable[P, R]) -> Callable[P, R]:
    """Refuse to run inside a transaction: the outside world is slow and cannot be rolled back."""

    @wraps(service)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        # The block that Django's TestCase wraps around a test is no transaction of the product's;
        # `atomic(durable=True)` makes the same exception.
        blocks = connection.atomic_blocks
        if blocks and not blocks[-1]._from_testcase:
            raise RuntimeError(f"{service.__qualname__} talks to the outside and must not hold a transaction")
        return service(*args, **kwargs)

    return guarded
