"""How the invented programs talk to the server: HTTP, with the tokens and the patience of real ones."""

from collections import Counter
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any

import httpx

from sessions_app.simulation.visits import Delivery, Host

PATIENCE = 1.0
"""Seconds before a server that does not answer is asked again."""

UNWELL = frozenset({502, 503, 504})
"""What a proxy says for a server that is not there. A 500 is an answer: asking again would not change it."""


class Stopped(Exception):
    """We were told to stop while we waited for the server."""


class Client:
    """Everybody's HTTP client. It plays the front proxy too, so that each host and edge has its own address.

    The server believes that only from proxies it trusts; elsewhere all are one caller.
    """

    def __init__(
        self,
        url: str,
        *,
        admin_token: str,
        reporter_token: str,
        stop: Event,
        say: Callable[[str], None],
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.http = httpx.Client(base_url=url, timeout=30, transport=transport)
        self.admin = {"X-Admin-Token": admin_token}
        self.reporter = {"X-Session-Token": reporter_token}
        self.stop = stop
        self.say = say
        self.refused: Counter[str] = Counter()

    # --- Edges ------------------------------------------------------------------------------------

    def report(self, delivery: Delivery) -> bool:
        """Tell one event. Returns whether it was taken."""
        body = delivery.dated() if delivery.is_late else delivery.body
        headers = {**self.reporter, "X-Forwarded-For": delivery.edge.ip}
        return self.send("POST", "/api/sessions/events", json=body, headers=headers).is_success

    def report_all(self, deliveries: Sequence[Delivery]) -> int:
        """Tell up to 1,000 past events at once. Returns how many were taken."""
        body = {"events": [delivery.dated() for delivery in deliveries]}
        answer = self.send("POST", "/api/sessions/events/batch", json=body, headers=self.reporter)
        answer.raise_for_status()
        return sum(result["status"] == 200 for result in answer.json()["results"])

    # --- Hosts ------------------------------------------------------------------------------------

    def register(self, host: Host) -> httpx.Response:
        return self.send(
            "POST",
            "/api/orchestrators/register",
            headers={"X-Forwarded-For": host.ip},
            json={
                "orchestrator_id": host.orchestrator_id,
                "address": host.address,
                "capability": host.capability,
                "contact_email": host.email,
                "host_public_ip": host.ip,
                "host_name": host.name,
                "services_healthy": True,
                "monitored_services": ["runner", "forwarder"],
                "min_service_uptime": 80,
            },
        )

    def get_as_host(self, path: str, token: str) -> httpx.Response:
        return self.send("GET", path, headers={"Authorization": f"Bearer {token}"})

    # --- Staff ------------------------------------------------------------------------------------

    def staff(self, method: str, path: str, json: Any = None, **headers: str) -> httpx.Response:
        return self.send(method, path, json=json, headers={**self.admin, **headers})

    # --- The line ---------------------------------------------------------------------------------

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send until there is an answer: a server that restarts, or is briefly unwell, is waited for.

        :raises Stopped: we were told to stop meanwhile.
        """
        complained = False
        while not self.stop.is_set():
            try:
                answer = self.http.request(method, path, **request)
            except httpx.TransportError:
                answer = httpx.Response(503)
            if answer.status_code not in UNWELL:
                if answer.is_error:
                    self.refused[f"{method} {path}: {answer.status_code}"] += 1
                return answer
            if not complained:
                self.say("The server does not answer; trying again until it does.")
            complained = True
            self.stop.wait(PATIENCE)
        raise Stopped
