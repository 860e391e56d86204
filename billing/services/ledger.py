"""The one door to the ledger: `post`, `post_many`, `reverse`.

Whatever the batch, posting is a fixed number of SQL statements: lock the kept accounts in id order, insert
the entries, insert the legs and move the balances. A key that was used before, with the same content,
returns the entry it wrote then; with other content it is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Prefetch
from django.utils import timezone

from billing.chart import Place
from billing.models import Account, Asset, Entry, Kind, Leg
from billing.services import ledger_sql as sql
from core.db import transaction_required
from core.errors import DomainError

MAY_OVERDRAW: frozenset[str] = frozenset({Kind.ADJUSTMENT})
"""Kinds whose entries may take an orchestrator's balance below zero, or further below."""


class IdempotencyConflict(DomainError):
    code, status, detail = "idempotency_conflict", 409, "Key already used with different content"


class InsufficientFunds(DomainError):
    code, status, detail = "insufficient_funds", 402, "Insufficient funds"


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
        assert totals and not any(totals.values()), f"{self.key}: legs do not sum to zero: {totals}"


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
    """
    posting = Posting(key, kind, legs, effective_at, reason, metadata or {}, orchestrator_id, actor)
    return post_many([posting])[0]


@transaction_required
def post_many(postings: Sequence[Posting]) -> list[Entry]:
    """Write many entries in a fixed number of statements; entries come back in the order given.

    Either all are written or none. Amounts are whole numbers of the asset's smallest unit.

    :raises IdempotencyConflict: a key was used for other content, before or within the batch.
    :raises InsufficientFunds: a leg would take an account below its floor.
    """
    if not postings:
        return []
    unique = _without_repeats(postings)
    accounts = _lock_accounts(unique)
    written = _insert_entries(unique)
    fresh = [posting for posting in unique if posting.key in written]
    _insert_legs(fresh, written, accounts)
    if len(fresh) < len(unique):
        written.update(_earlier([posting for posting in unique if posting.key not in written]))
    return [written[posting.key] for posting in postings]


@transaction_required
def reverse(entry: Entry, *, key: str, reason: str, actor: str, effective_at: datetime) -> Entry:
    """Undo an entry by its mirror image. An entry is reversed at most once.

    :raises AlreadyReversed: another key reversed it before.
    :raises InsufficientFunds: giving back would take an account below its floor.
    """
    # Two people reversing at once: the second waits here and then sees the first one's reversal.
    Entry.objects.select_for_update().get(pk=entry.pk)
    earlier = Entry.objects.filter(reverses=entry).first()
    if earlier is not None and earlier.key != key:
        raise AlreadyReversed
    legs = {_place(leg.account): -leg.amount for leg in entry.legs.select_related("account")}
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
        if (first.kind, dict(first.legs), first.orchestrator_id) != (
            posting.kind,
            dict(posting.legs),
            posting.orchestrator_id,
        ):
            raise IdempotencyConflict(f"Key {posting.key} is used twice with different content")
    return list(by_key.values())


@dataclass(slots=True)
class _Account:
    """An account's row while we post: `balance` runs along with the legs, None for contra."""

    id: int
    balance: int | None
    floor: int | None


def _lock_accounts(postings: Sequence[Posting]) -> dict[Place, _Account]:
    """Fetch every account, kept ones locked in id order; make those that were never used."""
    places = list(dict.fromkeys(place for posting in postings for place in posting.legs))
    found = _select_accounts(places)
    missing = [place for place in places if place not in found]
    if missing:
        with connection.cursor() as cursor:
            cursor.execute(
                sql.CREATE_ACCOUNTS,
                [
                    [place.address for place in missing],
                    [place.asset.value for place in missing],
                    [place.kept for place in missing],
                    [place.floor for place in missing],
                    [place.orchestrator_id for place in missing],
                ],
            )
        # Selected again as one set, so that the locks are still taken in id order.
        found = _select_accounts(places)
    return found


def _select_accounts(places: Sequence[Place]) -> dict[Place, _Account]:
    by_address = {(place.address, place.asset.value): place for place in places}
    addresses, assets = [place.address for place in places], [place.asset.value for place in places]
    accounts = {}
    with connection.cursor() as cursor:
        cursor.execute(sql.LOCK_ACCOUNTS, [addresses, assets])
        for address, asset, pk, balance, floor in cursor.fetchall():
            accounts[by_address[address, asset]] = _Account(
                pk, None if balance is None else int(balance), None if floor is None else int(floor)
            )
    return accounts


def _insert_entries(postings: Sequence[Posting]) -> dict[str, Entry]:
    """Insert the entries whose keys are new; a concurrent writer of the same key is waited for."""
    recorded_at = timezone.now()
    entries = [
        Entry(
            key=posting.key,
            kind=posting.kind,
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
    written = {}
    for entry in entries:
        if entry.key in ids:
            entry.pk = ids[entry.key]
            entry._state.adding = False
            written[entry.key] = entry
    return written


def _labelled(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of a test run say so."""
    if settings.TEST_RUN_ID:
        return {**metadata, "test": True, "test_run_id": settings.TEST_RUN_ID}
    return dict(metadata)


def _insert_legs(
    postings: Sequence[Posting], entries: Mapping[str, Entry], accounts: Mapping[Place, _Account]
) -> None:
    """Insert all legs and move all balances, in one statement."""
    legs: list[tuple[int, int, str, int, int | None, str, datetime]] = []
    moved: dict[int, _Account] = {}
    for posting in postings:
        for place, amount in posting.legs.items():
            account = accounts[place]
            if account.balance is not None:
                account.balance += amount
                _refuse_overdraft(posting, place, amount, account)
                moved[account.id] = account
            legs.append(
                (
                    entries[posting.key].pk,
                    account.id,
                    place.asset.value,
                    amount,
                    account.balance,
                    posting.kind.value,
                    posting.effective_at,
                )
            )
    if not legs:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            sql.INSERT_LEGS,
            [
                *(list(column) for column in zip(*legs, strict=True)),
                list(moved),
                [account.balance for account in moved.values()],
            ],
        )


def _refuse_overdraft(posting: Posting, place: Place, amount: int, account: _Account) -> None:
    assert account.balance is not None
    if account.floor is not None and account.balance < account.floor:
        raise InsufficientFunds
    overdrawn = account.floor is None and amount < 0 and account.balance < 0
    if overdrawn and posting.kind not in MAY_OVERDRAW and posting.reverses_id is None:
        raise InsufficientFunds


def _earlier(postings: Sequence[Posting]) -> dict[str, Entry]:
    """The entries that these keys wrote before, if their content is the same."""
    entries = {
        entry.key: entry
        for entry in Entry.objects.filter(key__in=[posting.key for posting in postings]).prefetch_related(
            Prefetch("legs", Leg.objects.select_related("account"))
        )
    }
    for posting in postings:
        entry = entries[posting.key]
        legs = {(leg.account.address, leg.account.asset): leg.amount for leg in entry.legs.all()}
        wanted = {(place.address, place.asset.value): amount for place, amount in posting.legs.items()}
        if (entry.kind, entry.orchestrator_id, legs) != (posting.kind, posting.orchestrator_id, wanted):
            raise IdempotencyConflict(f"Key {posting.key} already wrote an entry with different content")
    return entries


def _place(account: Account) -> Place:
    return Place(account.address, Asset(account.asset), account.kept, account.floor, account.orchestrator_id)
