"""What else happens in the network: health reports, refreshed registrations, leases, adjustments."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from sessions_app.simulation.client import Client
from sessions_app.simulation.visits import Host
from sessions_app.simulation.world import World

ADJUSTMENTS = (
    ("0.0125", "onboarding bonus", "First month on the network"),
    ("0.004", "outage compensation", "Edge fra lost its line for two hours"),
    ("-0.0031", "correction", "Sessions of a test stream were credited"),
    ("0.0009", "referral", ""),
)
_KINDS = ("workload", "render", "maintenance")


@dataclass(slots=True)
class Chores:
    """Recurring duties. Each is a function, and how long to wait until it is due again."""

    world: World
    client: Client
    chance: Random
    tokens: dict[str, str] = field(default_factory=dict)
    leases: list[tuple[str, Host]] = field(default_factory=list)

    def due(self) -> Iterator[tuple[timedelta, Callable[[], None]]]:
        yield timedelta(seconds=4), self.report_health
        yield timedelta(seconds=50), self.refresh_registration
        yield timedelta(seconds=7), self.tend_leases
        yield timedelta(minutes=3), self.adjust
        yield timedelta(seconds=30), self.look_in

    def first(self) -> None:
        """What staff did when the network was set up."""
        for host in self.world.hosts[:5]:
            answer = self.client.staff("POST", f"/api/licenses/orchestrators/{host.orchestrator_id}/tokens")
            if answer.is_success:
                self.tokens[host.orchestrator_id] = answer.json()["token"]
        for _ in ADJUSTMENTS:
            self.adjust()
        for host in self.world.hosts:
            self._report_health(host)

    def report_health(self) -> None:
        # The last host has no forwarder.
        self._report_health(self.chance.choice(self.world.hosts[:-1] or self.world.hosts))

    def refresh_registration(self) -> None:
        self.client.register(self.chance.choice(self.world.hosts))

    def tend_leases(self) -> None:
        """Keep the ones there are, give one up now and then, take a new one."""
        for lease_id, host in self.leases:
            self.client.staff(
                "POST",
                f"/api/activity/leases/{lease_id}/heartbeat",
                {"orchestrator_id": host.orchestrator_id, "lease_seconds": 60},
            )
        if self.leases and self.chance.random() < 0.4:
            lease_id, _ = self.leases.pop(self.chance.randrange(len(self.leases)))
            # Half of them are given back, the others are left to expire.
            if self.chance.random() < 0.5:
                self.client.staff("DELETE", f"/api/activity/leases/{lease_id}")
        if len(self.leases) < 4:
            self._take_lease(self.chance.choice(self.world.hosts))

    def adjust(self) -> None:
        amount, reason, notes = self.chance.choice(ADJUSTMENTS)
        host = self.chance.choice(self.world.hosts)
        self.client.staff(
            "POST",
            "/api/ledger/adjustments",
            {
                "orchestrator_id": host.orchestrator_id,
                "amount_eth": amount,
                "reason": reason,
                "notes": notes or None,
            },
            **{"Idempotency-Key": f"demo-{self.chance.getrandbits(64):016x}"},
        )

    def look_in(self) -> None:
        """A host asks what it has earned."""
        if self.tokens:
            path = self.chance.choice(["/api/orchestrators/me", "/api/orchestrators/me/stats?days=7"])
            self.client.get_as_host(path, self.chance.choice(list(self.tokens.values())))

    def _report_health(self, host: Host) -> None:
        down = int(self.chance.random() < 0.15)
        self.client.staff(
            "POST",
            f"/api/orchestrators/{host.orchestrator_id}/health",
            {
                "data": {
                    "ip": host.ip,
                    "summary": {"services_up": 2 - down, "services_down": down, "total_services": 2},
                }
            },
        )

    def _take_lease(self, host: Host) -> None:
        kind = self.chance.choice(_KINDS)
        answer = self.client.staff(
            "POST",
            "/api/activity/leases",
            {
                "orchestrator_id": host.orchestrator_id,
                "upstream_addr": host.ip,
                "kind": kind,
                "lease_seconds": 60,
                "metadata": {"requested_by": "demo"},
            },
        )
        if answer.is_success:
            self.leases.append((answer.json()["lease_id"], host))
