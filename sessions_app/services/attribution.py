"""Whose host is it: resolves the address of an event to an orchestrator, and remembers what was learned.

A `Directory` holds the orchestrators that a set of events can possibly mean. Events are resolved in memory
and what they teach is kept there too, so that a batch resolves as if its events had come one by one.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Q

from billing.models import Orchestrator
from core.db import transaction_required, update_many
from core.net import normalise_ip

REFRESH_AFTER = timedelta(seconds=5)
"""A time that is all that changed may lag this much, so that busy hosts are not written at every event."""

# In the order in which they are asked; within one, whoever registered first wins.
SOURCES = ("host_public_ip", "last_seen_ip", "last_session_upstream_addr", "health_ip", "forwarder_ip")
OWN_ADDRESSES = ("host_public_ip", "last_seen_ip", "last_session_upstream_addr", "health_ip")
LEARNED_FROM = ("last_seen_ip", "last_session_upstream_addr")
"""The addresses that a session's events teach."""

LEARNED = (
    "last_seen",
    "last_contact_source",
    "last_seen_ip",
    "last_session_upstream_addr",
    "last_session_seen_at",
    "last_session_edge_id",
)

# The session most recently seen from an address. Sessions are indexed by when they started, because a
# heartbeat must not touch an index; the one seen last is among the last that started.
LAST_SEEN_FROM = """
SELECT host(wanted.address), latest.orchestrator_id
FROM unnest(%s::inet[]) AS wanted (address), LATERAL (
    SELECT orchestrator_id FROM (
        SELECT orchestrator_id, last_seen_at FROM sessions_app_streamsession
        WHERE upstream_addr = wanted.address AND orchestrator_id IS NOT NULL
        ORDER BY started_at DESC LIMIT 50
    ) AS recent ORDER BY last_seen_at DESC LIMIT 1
) AS latest
"""


@dataclass(slots=True)
class Directory:
    """The orchestrators that matter to some events, as they are known while the events are applied."""

    by_pk: dict[int, Orchestrator] = field(default_factory=dict)
    by_id: dict[str, Orchestrator] = field(default_factory=dict)
    by_address: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    last_seen_from: dict[str, int] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)

    def add_all(self, orchestrators: Iterable[Orchestrator]) -> None:
        for orchestrator in orchestrators:
            if orchestrator.pk in self.by_pk:
                continue
            self.by_pk[orchestrator.pk] = orchestrator
            self.by_id[orchestrator.orchestrator_id] = orchestrator
            for source in SOURCES:
                if address := _ip(orchestrator, source):
                    self.by_address.setdefault((source, address), set()).add(orchestrator.pk)

    def resolve(self, orchestrator_id: str | None, address: str) -> Orchestrator | None:
        """The first hit: the event's own id, the address cascade, the last session from the address."""
        named = self.by_id.get(orchestrator_id) if orchestrator_id else None
        return named or self._by_cascade(address)

    def address_of(self, orchestrator_id: str | None) -> str | None:
        """Where a registered orchestrator is, for an event that does not say."""
        named = self.by_id.get(orchestrator_id) if orchestrator_id else None
        if named is None:
            return None
        return next((_ip(named, source) for source in OWN_ADDRESSES if _ip(named, source)), None)

    def moves(self, orchestrator_id: str | None, address: str | None) -> bool:
        """Whether an event from there takes an orchestrator away from an address learned before."""
        address = address or self.address_of(orchestrator_id)
        host = self.resolve(orchestrator_id, address) if address else None
        return host is not None and any(_ip(host, source) not in (None, address) for source in LEARNED_FROM)

    def learn(
        self, orchestrator: Orchestrator, address: str, *, edge_id: str | None, at: datetime, now: datetime
    ) -> None:
        """Remember that a session of this orchestrator was heard of from this address."""
        before = [getattr(orchestrator, name) for name in LEARNED]
        orchestrator.last_contact_source = "session"
        owners = self.by_address.get(("host_public_ip", address), {orchestrator.pk})
        if orchestrator.pk in owners:
            for source in LEARNED_FROM:
                self._move(orchestrator, source, address)
        if edge_id:
            orchestrator.last_session_edge_id = edge_id
        seen_before = orchestrator.last_session_seen_at
        is_new = [getattr(orchestrator, name) for name in LEARNED] != before
        if is_new or seen_before is None or now - orchestrator.last_seen > REFRESH_AFTER:
            orchestrator.last_seen = max(now, orchestrator.last_seen)
            orchestrator.last_session_seen_at = max(at, seen_before or at)
            self.changed.add(orchestrator.pk)

    def _by_cascade(self, address: str) -> Orchestrator | None:
        for source in SOURCES:
            if found := self.by_address.get((source, address)):
                return self.by_pk[min(found)]
        return self.by_pk.get(self.last_seen_from.get(address, 0))

    def _move(self, orchestrator: Orchestrator, source: str, address: str) -> None:
        if former := _ip(orchestrator, source):
            self.by_address[source, former].discard(orchestrator.pk)
        setattr(orchestrator, source, address)
        self.by_address.setdefault((source, address), set()).add(orchestrator.pk)


def load(*, pks: Collection[int], places: Collection[tuple[str | None, str | None]]) -> Directory:
    """Fetch every orchestrator that these attributions and events can mean: at most four queries.

    :param places: the orchestrator id and the upstream address that each event gives.
    """
    orchestrator_ids = {orchestrator_id for orchestrator_id, _ in places if orchestrator_id}
    addresses = {address for _, address in places if address}
    wanted = Q(pk__in=pks) | Q(orchestrator_id__in=orchestrator_ids)
    for source in SOURCES:
        wanted |= Q(**{f"{source}__in": addresses})
    directory = Directory()
    directory.add_all(Orchestrator.objects.filter(wanted))
    unsaid = {directory.address_of(orchestrator_id) for orchestrator_id, address in places if not address}
    if owned := unsaid - addresses - {None}:
        directory.add_all(Orchestrator.objects.filter(host_public_ip__in=owned))
    # A host that moves leaves an address behind which later events may still name.
    moving = any(directory.moves(*place) for place in places)
    unknown = [address for address in addresses if moving or directory.resolve(None, address) is None]
    if unknown:
        with connection.cursor() as cursor:
            cursor.execute(LAST_SEEN_FROM, [unknown])
            directory.last_seen_from = {str(normalise_ip(address)): pk for address, pk in cursor.fetchall()}
        missing = set(directory.last_seen_from.values()) - directory.by_pk.keys()
        directory.add_all(Orchestrator.objects.filter(pk__in=missing) if missing else ())
    return directory


@transaction_required
def save(directory: Directory) -> None:
    """Write what was learned, in one statement."""
    update_many([directory.by_pk[pk] for pk in directory.changed], LEARNED)


def _ip(orchestrator: Orchestrator, source: str) -> str | None:
    """One of an orchestrator's addresses; PostgreSQL spells a few IPv6 forms in its own way."""
    stored: str | None = getattr(orchestrator, source)
    return normalise_ip(stored) if stored else None
