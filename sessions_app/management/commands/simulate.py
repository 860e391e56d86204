"""Feeds a server with invented sessions over HTTP, so that there is something to look at."""

import contextlib
import signal
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from random import Random
from threading import Event
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from billing.models import Orchestrator
from billing.services import denylist
from core.doorway import doorway
from sessions_app.simulation import backfill
from sessions_app.simulation.chores import Chores
from sessions_app.simulation.client import Client, Stopped
from sessions_app.simulation.live import Live
from sessions_app.simulation.visits import Delivery, Host
from sessions_app.simulation.world import Pace, World

DEMO = "demo"
"""What PAYMENTS_TEST_RUN_ID says in books that may be filled with inventions."""


class Command(BaseCommand):
    help = "Feed a server with invented hosts and sessions over HTTP, after a past of some weeks."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--url", default="http://127.0.0.1:8081", help="where the server is")
        parser.add_argument(
            "--speed",
            type=float,
            default=10,
            help="so many times as many sessions begin, each so many times shorter (default: %(default)g)",
        )
        parser.add_argument("--orchestrators", type=int, default=12, help="how many hosts there are")
        parser.add_argument("--edges", type=int, default=3, help="how many edges report")
        parser.add_argument("--backfill-days", type=int, default=30, help="how much past to invent, up to 34")
        parser.add_argument("--seed", type=int, default=1, help="another seed is another network")
        parser.add_argument("--seconds", type=float, help="stop by itself after this long")
        parser.add_argument("--yes", action="store_true", help="also feed books that hold something already")

    def handle(self, *args: Any, **options: Any) -> None:
        _require_sense(options)
        stop = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        client = Client(
            options["url"],
            admin_token=settings.API_ADMIN_TOKEN,
            reporter_token=settings.SESSION_REPORTER_TOKEN,
            stop=stop,
            say=self._say,
        )
        try:
            with client.http, contextlib.suppress(Stopped):
                self._simulate(client, options)
        except httpx.HTTPStatusError as problem:
            raise CommandError(f"The server does not do what a simulator needs: {problem}") from None
        for what, count in sorted(client.refused.items()):
            self._say(f"Refused {count} times: {what}")
        self._say("The simulator has stopped.")

    def _simulate(self, client: Client, options: dict[str, Any]) -> None:
        world = World(hosts=options["orchestrators"], edges=options["edges"], seed=options["seed"])
        pace = Pace(options["speed"])
        is_empty = self._require_permission(client, is_sure=options["yes"])
        self._register(client, world)
        still_to_come = self._tell_the_past(client, world, days=options["backfill_days"])
        chores = Chores(world, client, Random(f"{options['seed']} {timezone.now()}"))  # noqa: S311
        chores.first()
        if is_empty and settings.TEST_RUN_ID == DEMO:
            _denylist(world.hosts[-2])
        live = Live(world, client, pace)
        live.add(still_to_come)
        live.add_chores(chores)
        self._say(f"Live: {pace.speed:g} times as many sessions as usual begin, each as many times shorter.")
        live.run(seconds=options["seconds"])

    def _require_permission(self, client: Client, *, is_sure: bool) -> bool:
        """Inventions never get into real books. Returns whether the books are empty.

        :raises CommandError: there is something in them, and nobody said that it may be invented.
        """
        answer = client.staff("GET", "/api/orchestrators?limit=1")
        if answer.status_code == 401:
            raise CommandError("The server refuses PAYMENTS_API_ADMIN_TOKEN: it must be the server's own.")
        is_empty = not answer.raise_for_status().json()["orchestrators"]
        if not (is_empty or is_sure or settings.TEST_RUN_ID == DEMO):
            raise CommandError(
                f"The books behind {client.http.base_url} are not empty, and inventions must not get mixed "
                "into real ones. `make demo` has books of its own; --yes says that these may be filled."
            )
        return is_empty

    def _register(self, client: Client, world: World) -> None:
        """Register every host. A server that takes all hosts for one caller takes a few in a minute."""
        self._say(f"Registering {len(world.hosts)} hosts.")
        for host in world.hosts:
            while (answer := client.register(host)).status_code == 429:
                self._say(f"{host.orchestrator_id} has to wait: too many registrations from one address.")
                client.stop.wait(10)
            if answer.is_error:
                self._say(f"{host.orchestrator_id} was not registered: {answer.text}")

    def _tell_the_past(self, client: Client, world: World, *, days: int) -> list[Delivery]:
        """Invent what happened since the last session that the server knows; returns what is yet to come."""
        now = datetime.now(UTC)
        since = now - timedelta(days=days)
        known = client.staff("GET", "/api/sessions?limit=1").raise_for_status().json()["sessions"]
        if known:
            since = max(since, datetime.fromisoformat(known[0]["started_at"]))
        due, still_to_come = backfill.history(world, since=since, now=now, pace=Pace())
        self._say(f"Telling the past {(now - since) / timedelta(days=1):.1f} days: {len(due):,} events.")
        shown = [0]

        def progress(done: int, total: int) -> None:
            if done * 10 // total > shown[0]:
                shown[0] = done * 10 // total
                self._say(f"[{'#' * (2 * shown[0]):<20}] {done:>7,} of {total:,} events")

        taken = backfill.tell(client, due, progress=progress)
        self._say(f"The past is told: {taken:,} events were taken.")
        return still_to_come

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _require_sense(options: dict[str, Any]) -> None:
    if not (settings.API_ADMIN_TOKEN and settings.SESSION_REPORTER_TOKEN):
        raise CommandError("Set PAYMENTS_API_ADMIN_TOKEN and PAYMENTS_SESSION_REPORTER_TOKEN first.")
    if not 0 < options["speed"] <= 1000:
        raise CommandError("--speed must be above 0 and at most 1000.")
    if not (1 <= options["orchestrators"] <= 200 and 1 <= options["edges"] <= 100):
        raise CommandError("There can be 1 to 200 orchestrators and 1 to 100 edges.")
    if not 0 <= options["backfill_days"] <= 34:
        raise CommandError("The server takes a past of 0 to 34 days.")


def _denylist(host: Host) -> None:
    """What staff would do in the admin, which has no API: block a host after it has served for weeks."""
    with doorway():
        orchestrator = Orchestrator.objects.get(orchestrator_id=host.orchestrator_id)
        denylist.put_on(
            orchestrator_pk=orchestrator.pk,
            reason="Streams were relayed from another host",
            actor="demo",
            now=timezone.now(),
        )
