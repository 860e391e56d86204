"""A second opinion: what the contract's text says about sessions, written down naively and slowly.

It shares nothing with the product. Times are whole microseconds, sessions are dictionaries, and every rule
is a sentence of sections 4.2 to 4.5 in the order in which it stands there.
"""

from copy import deepcopy
from fractions import Fraction
from typing import Any

Session = dict[str, Any]
Said = dict[str, Any]
MISSING = "Session event missing upstream address"


class Contract:
    """The world as the contract sees it: hosts in the order of their registration, sessions, earnings.

    :param rate: wei per minute.
    """

    def __init__(self, hosts: dict[str, str | None], *, segment_s: int, gap_s: int, rate: Fraction) -> None:
        self.hosts = {
            name: {"host_public_ip": address, "last_seen_ip": None, "last_session_upstream_addr": None}
            for name, address in hosts.items()
        }
        self.segment_ms, self.gap_us, self.rate = segment_s * 1000, gap_s * 1_000_000, rate
        self.denylisted: set[str] = set()
        self.generations: dict[str, list[Session]] = {}
        self.first_results: dict[tuple[str, str], Any] = {}
        self.earned = dict.fromkeys(hosts, 0)
        self.segments: list[tuple[Any, ...]] = []

    def report(self, said: Said) -> Any:
        """One event; the session record as it is answered, or the text of the refusal."""
        again = (said["session_id"], said["event_id"])
        if said["event_id"] and again in self.first_results:
            return self.first_results[again]
        address = said["upstream_addr"] or self._own_address(said["orchestrator_id"])
        if address is None:
            return MISSING
        host = self._attribute(said["orchestrator_id"], address)
        record = self._apply({**said, "upstream_addr": address}, host)
        if said["event_id"]:
            self.first_results[again] = record
        return record

    # 4.2: the first IP literal among the registered orchestrator's own.
    def _own_address(self, name: str | None) -> str | None:
        sources = self.hosts.get(name or "", {}).values()
        return next((address for address in sources if address), None)

    # 4.3: first hit wins.
    def _attribute(self, name: str | None, address: str) -> str | None:
        if name in self.hosts:
            return name
        for source in ("host_public_ip", "last_seen_ip", "last_session_upstream_addr"):
            for host, addresses in self.hosts.items():
                if addresses[source] == address:
                    return host
        seen = [
            (generation["last_seen_at"], generation["born"], generation["orchestrator"])
            for generations in self.generations.values()
            for generation in generations
            if generation["upstream_addr"] == address and generation["orchestrator"]
        ]
        return max(seen)[2] if seen else None

    def _learn(self, host: str, address: str) -> None:
        owners = [name for name, known in self.hosts.items() if known["host_public_ip"] == address]
        if not owners or owners == [host]:
            self.hosts[host]["last_seen_ip"] = address
            self.hosts[host]["last_session_upstream_addr"] = address

    # 4.4: the table, with the rule of silence before it.
    def _apply(self, said: Said, host: str | None) -> Session:
        generations = self.generations.setdefault(said["session_id"], [])
        session = generations[-1] if generations else None
        at, event = said["at"], said["event"]
        if session and at < session["last_seen_at"]:
            return self._answer(session)
        credited = 0
        if (
            session
            and session["ended_at"] is None
            and self.gap_us
            and at - session["last_seen_at"] > self.gap_us
        ):
            credited += self._close(session, session["last_seen_at"], "timeout", session["edge_id"])
            session["ended_at"] = session["last_seen_at"]
        if session and session["ended_at"] is None:
            credited += self._continue(session, said, host)
        elif session and event == "end":
            session.update(_seen(said))
        else:
            streamer = session["streamer_id"] if session else None
            session = self._new(said, host, len(generations) + 1, streamer)
            generations.append(session)
        session["last_credited_wei"] = credited
        if host:
            self._learn(host, said["upstream_addr"])
        return self._answer(session)

    def _new(self, said: Said, host: str | None, generation: int, streamer: str | None) -> Session:
        return {
            **_seen(said),
            "session_id": said["session_id"],
            "generation": generation,
            "orchestrator": host,
            "edge_id": said["edge_id"],
            "streamer_id": said["streamer_id"] or streamer,
            "started_at": said["at"],
            "ended_at": said["at"] if said["event"] == "end" else None,
            "last_billed_at": said["at"],
            "billed_ms": 0,
            "billed_wei": 0,
            "heartbeat_count": 1 if said["event"] == "heartbeat" else 0,
            "segment_index": 0,
            "born": sum(len(each) for each in self.generations.values()),
        }

    def _continue(self, session: Session, said: Said, host: str | None) -> int:
        session.update(_seen(said))
        session["edge_id"] = said["edge_id"] or session["edge_id"]
        session["streamer_id"] = said["streamer_id"] or session["streamer_id"]
        event, at = said["event"], said["at"]
        if event == "end":
            credited = self._close(session, at, "end", said["edge_id"])
            session["ended_at"] = at
            return credited
        if event == "heartbeat":
            session["heartbeat_count"] += 1
        if host and host != session["orchestrator"]:
            credited = self._close(session, at, "reattribution", said["edge_id"])
            session["orchestrator"] = host
            return credited
        return self._close(session, at, None, said["edge_id"])

    # 4.5: full segments, then the rest.
    def _close(self, session: Session, at: int, trigger: str | None, edge: str | None) -> int:
        credited = 0
        while (at - session["last_billed_at"]) // 1000 >= self.segment_ms:
            end = session["last_billed_at"] + self.segment_ms * 1000
            credited += self._segment(session, end, self.segment_ms, "segment", edge)
        if trigger:
            rest = (at - session["last_billed_at"]) // 1000
            if rest > 0:
                credited += self._segment(session, at, rest, trigger, edge)
            session["last_billed_at"] = at
        return credited

    def _segment(self, session: Session, end: int, ms: int, trigger: str, edge: str | None) -> int:
        host = session["orchestrator"]
        amount = int(self.rate * ms / 60_000)
        if host is None or host in self.denylisted or amount < 1:
            amount = 0
        else:
            session["billed_ms"] += ms
            session["billed_wei"] += amount
            self.earned[host] += amount
        self.segments.append(
            (
                session["session_id"],
                session["generation"],
                session["segment_index"],
                host,
                session["last_billed_at"],
                end,
                ms,
                trigger,
                amount,
                edge,
                session["streamer_id"],
            )
        )
        session["segment_index"] += 1
        session["last_billed_at"] = end
        return amount

    def _answer(self, session: Session) -> Session:
        record = deepcopy(session)
        del record["segment_index"], record["born"]
        return record


def _seen(said: Said) -> Session:
    """What each applied event refreshes."""
    return {
        "upstream_addr": said["upstream_addr"],
        "upstream_port": said["upstream_port"],
        "last_seen_at": said["at"],
        "last_event": said["event"],
    }
