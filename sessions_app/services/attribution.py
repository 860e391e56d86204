"""Whose host is it: resolves the address of an event to an orchestrator, and remembers what was learned.

A `Directory` holds the orchestrators that a set of events can possibly mean. Events are resolved in memory
and what they teach is kept there too, so that a batch resolves as if its events had come one by one.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection

from billing.models import Orchestrator
from billing.services import liveness
from billing.services.liveness import LastSession
from core.db import transaction_required, update_many
from core.net import normalise_ip
from sessions_app.models import StreamSession

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

# Spelled out, and without the columns that nobody here reads: building this query and decoding health
# reports would cost more than running it. What is left out is fetched if somebody asks for it after all.
MEANT = """
SELECT id, orchestrator_id, address, denylisted, cooldown_expires_at, is_top_100, host_public_ip, health_ip,
    forwarder_ip, last_seen, last_contact_source, last_seen_ip, last_session_upstream_addr,
    last_session_seen_at, last_session_edge_id
FROM billing_orchestrator
WHERE id = ANY(%s) OR orchestrator_id = ANY(%s) OR host_public_ip = ANY(%s::inet[])
    OR last_seen_ip = ANY(%s::inet[]) OR last_session_upstream_addr = ANY(%s::inet[])
    OR health_ip = ANY(%s::inet[]) OR forwarder_ip = ANY(%s::inet[])
"""

# The session most recently seen from an address, among those that the events at hand leave alone. Sessions
# are indexed by when they started, because a heartbeat must not touch an index; the one seen last is among
# the last that started.
LAST_SEEN_FROM = """
SELECT host(wanted.address), latest.last_seen_at, latest.orchestrator_id
FROM unnest(%s::inet[]) AS wanted (address), LATERAL (
    SELECT orchestrator_id, last_seen_at FROM (
        SELECT id, orchestrator_id, last_seen_at FROM sessions_app_streamsession
        WHERE upstream_addr = wanted.address AND orchestrator_id IS NOT NULL AND NOT id = ANY(%s::bigint[])
        ORDER BY started_at DESC LIMIT 50
    ) AS recent ORDER BY last_seen_at DESC, id DESC LIMIT 1
) AS latest
"""


@dataclass(slots=True)
class Directory:
    """The orchestrators that matter to some events, as they are known while the events are applied.

    `sessions` are those that the events concern, which whoever applies them keeps up to date;
    `last_seen_from` says when, and with whom, the latest of all others was seen from an address.
    """

    by_pk: dict[int, Orchestrator] = field(default_factory=dict)
    by_id: dict[str, Orchestrator] = field(default_factory=dict)
    by_address: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    sessions: list[StreamSession] = field(default_factory=list)
    last_seen_from: dict[str, tuple[datetime, int]] = field(default_factory=dict)
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
        return named or self._by_address(address) or self._by_session(address)

    def address_of(self, orchestrator_id: str | None) -> str | None:
        """Where a registered orchestrator is, for an event that does not say."""
        named = self.by_id.get(orchestrator_id) if orchestrator_id else None
        if named is None:
            return None
        return next((_ip(named, source) for source in OWN_ADDRESSES if _ip(named, source)), None)

    def may_move(self, orchestrator_id: str | None, address: str | None) -> bool:
        """Whether an event from there can take a host away from an address learned before.

        What stored sessions say is not asked: a host that only they know counts as moving.
        """
        named = self.by_id.get(orchestrator_id) if orchestrator_id else None
        address = address or self.address_of(orchestrator_id)
        if address is None:
            return False
        host = named or self._by_address(address)
        return host is None or any(_ip(host, source) not in (None, address) for source in LEARNED_FROM)

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

    def keep(self, session: StreamSession) -> None:
        """Copy what an open session told about its host, before its row stops being read for that.

        Addresses need no copy: a heartbeat that brings a new one has been learned at once.
        """
        if session.orchestrator_id is None:
            return
        heard = LastSession(session.updated_at, session.last_seen_at, None, session.edge_id)
        liveness.take_over(self.by_pk[session.orchestrator_id], heard)
        self.changed.add(session.orchestrator_id)

    def _by_address(self, address: str) -> Orchestrator | None:
        for source in SOURCES:
            if found := self.by_address.get((source, address)):
                return self.by_pk[min(found)]
        return None

    def _by_session(self, address: str) -> Orchestrator | None:
        """Whose session was most recently seen from there."""
        seen = [
            (session.last_seen_at, session.orchestrator_id)
            for session in self.sessions
            if session.orchestrator_id and normalise_ip(session.upstream_addr) == address
        ]
        if address in self.last_seen_from:
            seen.insert(0, self.last_seen_from[address])
        # Of several seen at the same moment the one that began last: it stands last.
        return self.by_pk[max(reversed(seen), key=lambda one: one[0])[1]] if seen else None

    def _move(self, orchestrator: Orchestrator, source: str, address: str) -> None:
        if former := _ip(orchestrator, source):
            self.by_address[source, former].discard(orchestrator.pk)
        setattr(orchestrator, source, address)
        self.by_address.setdefault((source, address), set()).add(orchestrator.pk)


def load(
    *, sessions: Iterable[StreamSession], places: Collection[tuple[str | None, str | None]]
) -> Directory:
    """Fetch every orchestrator that these sessions and events can mean: at most four queries.

    :param sessions: the sessions that the events concern, locked.
    :param places: the orchestrator id and the upstream address that each event gives.
    """
    orchestrator_ids = list({orchestrator_id for orchestrator_id, _ in places if orchestrator_id})
    addresses = list({address for _, address in places if address})
    directory = Directory(sessions=sorted(sessions, key=lambda session: session.pk))
    attributed = list({session.orchestrator_id for session in directory.sessions if session.orchestrator_id})
    asked = [attributed, orchestrator_ids, *[addresses for _ in SOURCES]]
    directory.add_all(Orchestrator.objects.raw(MEANT, asked))
    unsaid = {directory.address_of(orchestrator_id) for orchestrator_id, address in places if not address}
    if owned := unsaid - {*addresses, None}:
        directory.add_all(Orchestrator.objects.filter(host_public_ip__in=owned))
    # A host that moves leaves an address behind which later events may still name.
    if any(directory.may_move(*place) for place in places):
        with connection.cursor() as cursor:
            apart = [session.pk for session in directory.sessions]
            cursor.execute(LAST_SEEN_FROM, [addresses, apart])
            directory.last_seen_from = {
                str(normalise_ip(address)): (seen_at, pk) for address, seen_at, pk in cursor.fetchall()
            }
        missing = {pk for _, pk in directory.last_seen_from.values()} - directory.by_pk.keys()
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
