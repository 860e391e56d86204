"""The one door to the ledger: `post`, `post_many`, `reverse`.

Whatever the batch, posting is a fixed number of SQL statements: lock the kept accounts in id order, insert
the entries, insert the legs and move the balances. A key that was used before, with the same content,
returns the entry it wrote then; with other content it is refused.

Locks are in order within one call. A transaction that posts twice may wait for another one that does, so
whoever has several entries to write hands them over together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Prefetch
from django.utils import timezone

from billing.chart import Place
from billing.kinds import MEANINGS
from billing.models import Account, Asset, Entry, Kind, Leg
from billing.services import ledger_accounts
from billing.services import ledger_sql as sql
from billing.services.ledger_accounts import LockedAccount
from core.db import transaction_required
from core.errors import DomainError
from core.money import MAX_WEI

MAX_BALANCE = MAX_WEI
"""No kept balance lies further from zero: a signed 256-bit integer, like any amount."""


class IdempotencyConflict(DomainError):
    code, status, detail = "idempotency_conflict", 409, "Key already used with different content"


class InsufficientFunds(DomainError):
    code, status, detail = "insufficient_funds", 402, "Insufficient funds"


class BalanceOutOfRange(DomainError):
    code, status, detail = "balance_out_of_range", 409, "Balance would be out of range"


class AlreadyReversed(DomainError):
    code, status, detail = "already_reversed", 409, "Entry is already reversed"


@dataclass(frozen=True, slots=True)
class Posting:
    """One entry to be: its key, kind, legs (place to signed whole amount) and the facts around it."""

    key: str
    kind: Kind
    legs: Mapping[Place, int]
    effective_at: datetime
    reason: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    orchestrator_id: int | None = None
    actor: str = ""
    reverses_id: int | None = None

    def __post_init__(self) -> None:
        totals: dict[str, int] = {}
        for place, amount in self.legs.items():
            assert amount != 0, f"{self.key}: a leg of zero moves nothing"
            totals[place.asset] = totals.get(place.asset, 0) + amount
        assert totals, f"{self.key}: an entry needs legs"
        assert not any(totals.values()), f"{self.key}: legs do not sum to zero: {totals}"


@dataclass(frozen=True, slots=True)
class _Content:
    """What a key stands for. Posted again with the same content it is a repetition, with other a conflict.

    Times, words and metadata are told about an entry and do not make it another one.
    """

    kind: str
    orchestrator_id: int | None
    reverses_id: int | None
    legs: Mapping[tuple[str, str], int]

    @classmethod
    def of_posting(cls, posting: Posting) -> Self:
        legs = {(place.address, place.asset.value): amount for place, amount in posting.legs.items()}
        return cls(posting.kind.value, posting.orchestrator_id, posting.reverses_id, legs)

    @classmethod
    def of_entry(cls, entry: Entry) -> Self:
        legs = {(leg.account.address, leg.account.asset): leg.amount for leg in entry.legs.all()}
        return cls(entry.kind, entry.orchestrator_id, entry.reverses_id, legs)


@transaction_required
def post(
    *,
    key: str,
    kind: Kind,
    legs: Mapping[Place, int],
    effective_at: datetime,
    reason: str = "",
    metadata: Mapping[str, Any] | None = None,
    orchestrator_id: int | None = None,
    actor: str = "",
) -> Entry:
    """Write one entry, or return the entry that this key already wrote.

    :raises IdempotencyConflict: the key was used for other legs, kind or subject.
    :raises InsufficientFunds: a leg would take an account below its floor.
    :raises BalanceOutOfRange: a leg would take an account beyond 256 bits.
    """
    posting = Posting(key, kind, legs, effective_at, reason, metadata or {}, orchestrator_id, actor)
    return post_many([posting])[0]


@transaction_required
def post_many(postings: Sequence[Posting]) -> list[Entry]:
    """Write many entries in a fixed number of statements; entries come back in the order given.

    Either all are written or none: a refusal dooms the transaction around the call (or the savepoint, if
    the caller put one there to be able to go on). Amounts are whole numbers of the smallest unit.

    :raises IdempotencyConflict: a key was used for other content, before or within the batch.
    :raises InsufficientFunds: a leg would take an account below its floor.
    :raises BalanceOutOfRange: a leg would take an account beyond 256 bits.
    """
    if not postings:
        return []
    unique = _without_repeats(postings)
    accounts = ledger_accounts.lock(_places(unique))
    try:
        written = _insert_entries(unique)
        fresh = [posting for posting in unique if posting.key in written]
        _insert_legs(fresh, written, accounts)
        if len(fresh) < len(unique):
            written.update(_earlier([posting for posting in unique if posting.key not in written]))
    except DomainError:
        # Entries may stand without their legs by now. They must not, even if the caller catches this.
        transaction.set_rollback(True)
        raise
    return [written[posting.key] for posting in postings]


@transaction_required
def reverse(entry: Entry, *, key: str, reason: str, actor: str, effective_at: datetime) -> Entry:
    """Undo an entry by its mirror image, or return the reversal that this key already wrote.

    Giving back may take an account without a floor below zero. An entry is reversed at most once.

    :raises AlreadyReversed: another key reversed it before.
    :raises InsufficientFunds: giving back would take an account below its floor.
    """
    # Two people reversing at once: the second waits here and then sees the first one's reversal.
    Entry.objects.select_for_update(no_key=True).get(pk=entry.pk)
    earlier = Entry.objects.filter(reverses=entry).first()
    if earlier is not None and earlier.key != key:
        raise AlreadyReversed
    legs = {_place(leg.account): -leg.amount for leg in entry.legs.select_related("account").order_by("id")}
    posting = Posting(
        key=key,
        kind=Kind(entry.kind),
        legs=legs,
        effective_at=effective_at,
        reason=reason,
        metadata={**entry.metadata, "reversal": True},
        orchestrator_id=entry.orchestrator_id,
        actor=actor,
        reverses_id=entry.pk,
    )
    return post_many([posting])[0]


def _without_repeats(postings: Sequence[Posting]) -> list[Posting]:
    """The postings with each key once; a key repeated with other content is refused."""
    by_key: dict[str, Posting] = {}
    for posting in postings:
        first = by_key.setdefault(posting.key, posting)
        if first is not posting and _Content.of_posting(first) != _Content.of_posting(posting):
            raise IdempotencyConflict(f"Key {posting.key} is used twice with different content")
    return list(by_key.values())


def _places(postings: Sequence[Posting]) -> list[Place]:
    return list(dict.fromkeys(place for posting in postings for place in posting.legs))


def _insert_entries(postings: Sequence[Posting]) -> dict[str, Entry]:
    """Insert the entries whose keys are new; the others are missing from the answer."""
    recorded_at = timezone.now()
    entries = [
        Entry(
            key=posting.key,
            kind=posting.kind.value,
            reason=posting.reason,
            metadata=_labelled(posting.metadata),
            orchestrator_id=posting.orchestrator_id,
            effective_at=posting.effective_at,
            recorded_at=recorded_at,
            actor=posting.actor,
            reverses_id=posting.reverses_id,
        )
        for posting in postings
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql.INSERT_ENTRIES, sql.entry_columns(entries))
        ids = dict(cursor.fetchall())
    written = {entry.key: entry for entry in entries if entry.key in ids}
    for entry in written.values():
        entry.pk = ids[entry.key]
        entry._state.adding, entry._state.db = False, connection.alias
    return written


def _labelled(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of a test run say so."""
    if settings.TEST_RUN_ID:
        return {**metadata, "test": True, "test_run_id": settings.TEST_RUN_ID}
    return dict(metadata)


def _insert_legs(
    postings: Sequence[Posting], entries: Mapping[str, Entry], accounts: Mapping[Place, LockedAccount]
) -> None:
    """Insert all legs and move all balances, in one statement."""
    legs: list[tuple[int, int, str, int, int | None, str, datetime]] = []
    moved: dict[int, int] = {}
    for posting in postings:
        entry_id, kind, effective_at = entries[posting.key].pk, posting.kind.value, posting.effective_at
        for place, amount in posting.legs.items():
            account = accounts[place]
            if account.balance is not None:
                moved[account.id] = account.balance = _moved(account, amount, posting)
            legs.append(
                (entry_id, account.id, place.asset.value, amount, account.balance, kind, effective_at)
            )
    if legs:
        columns = [list(column) for column in zip(*legs, strict=True)]
        with connection.cursor() as cursor:
            cursor.execute(sql.INSERT_LEGS, [*columns, list(moved), list(moved.values())])


def _moved(account: LockedAccount, amount: int, posting: Posting) -> int:
    """The balance after this leg, if the account may have it."""
    assert account.balance is not None
    balance = account.balance + amount
    if account.floor is not None:
        overdrawn = balance < account.floor
    else:
        allowed = MEANINGS[posting.kind].may_overdraw or posting.reverses_id is not None
        overdrawn = amount < 0 and balance < 0 and not allowed
    if overdrawn:
        raise InsufficientFunds
    if abs(balance) > MAX_BALANCE:
        raise BalanceOutOfRange
    return balance


def _earlier(postings: Sequence[Posting]) -> dict[str, Entry]:
    """The entries that these keys wrote before, if their content is the same."""
    legs = Prefetch("legs", Leg.objects.select_related("account"))
    keys = [posting.key for posting in postings]
    entries = {entry.key: entry for entry in Entry.objects.filter(key__in=keys).prefetch_related(legs)}
    for posting in postings:
        if _Content.of_entry(entries[posting.key]) != _Content.of_posting(posting):
            raise IdempotencyConflict(f"Key {posting.key} already wrote an entry with different content")
    return entries


def _place(account: Account) -> Place:
    return Place(account.address, Asset(account.asset), account.kept, account.floor, account.orchestrator_id)
