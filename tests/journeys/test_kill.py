"""Power cuts under load: no acknowledged event is lost, and none is credited twice."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone

from config.celery import app
from launcher import ports
from sessions_app.models import SessionEvent, StreamSession
from tests.servers import Running, running_server, running_worker
from tests.sessions_app.edges import (
    BATCH,
    REPORTER,
    SINGLE,
    assert_books_hold,
    host,
    incoming,
    owed,
    report_all,
)

POWER_CUTS = 2
EDGES = 3
REAPER = "sessions_app.tasks.close_silent_sessions"
ABANDONED = 600
SERVED_SECONDS = 150
SETTINGS = {"PAYMENTS_SESSION_SEGMENT_SECONDS": "40"}
WEI_PER_MINUTE = 600_000_000_000_000

Event = dict[str, Any]


class Edge(threading.Thread):
    """Reports one session after the other, some events singly and some in batches, until it is told to stop.

    What was not acknowledged it sends again. `answers` is what was acknowledged, by session and event id.
    """

    def __init__(self, number: int, url: str, began: datetime) -> None:
        super().__init__(name=f"edge-{number}")
        self.number, self.url, self.began = number, url, began
        self.done = threading.Event()
        self.sent: list[list[Event]] = []
        self.answers: dict[tuple[str, str], Any] = {}
        self.failures: list[tuple[int, str]] = []

    def run(self) -> None:
        with httpx.Client(base_url=self.url, headers=REPORTER, timeout=5) as client:
            while not self.done.is_set():
                life = self._life(f"edge-{self.number}-{len(self.sent)}")
                self.sent.append(life)
                for number in range(0, len(life), 2):
                    self._deliver(client, life[number : number + 2], in_batch=number % 4 == 0)
                    # Without pauses the servers that start meanwhile get no processor.
                    time.sleep(0.03)

    def _life(self, session_id: str) -> list[Event]:
        """A session of two and a half minutes, ten minutes ago."""
        seconds = range(0, SERVED_SECONDS + 1, 15)
        words = ["start", *["heartbeat"] * (len(seconds) - 2), "end"]
        return [
            {
                "session_id": session_id,
                "event": word,
                "upstream_addr": f"192.0.2.{self.number + 1}",
                "occurred_at": (self.began + timedelta(seconds=second)).isoformat(),
                "event_id": f"e{second}",
            }
            for word, second in zip(words, seconds, strict=True)
        ]

    def _deliver(self, client: httpx.Client, events: list[Event], *, in_batch: bool) -> None:
        while not self.done.is_set():
            try:
                answers = list(self._send(client, events, in_batch=in_batch))
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            for event, answer in zip(events, answers, strict=True):
                self.answers[event["session_id"], event["event_id"]] = answer
            return

    def _send(self, client: httpx.Client, events: list[Event], *, in_batch: bool) -> Iterator[Any]:
        if in_batch:
            answer = client.post(BATCH, json={"events": events})
            self._expect_ok(answer)
            yield from (result["session"] for result in answer.json()["results"])
            return
        for event in events:
            answer = client.post(SINGLE, json=event)
            self._expect_ok(answer)
            yield answer.json()

    def _expect_ok(self, answer: httpx.Response) -> None:
        if answer.status_code != 200:
            self.failures.append((answer.status_code, answer.text))
            self.done.set()
            answer.raise_for_status()


def abandon_sessions(began: datetime) -> None:
    """Sessions that fell silent after a minute, for the worker's reaper."""
    for word, second in (("start", 0), ("heartbeat", 30), ("heartbeat", 60)):
        now = began + timedelta(seconds=second)
        events = [
            incoming(f"abandoned-{number}", word, at=now, upstream_addr="192.0.2.250")
            for number in range(ABANDONED)
        ]
        report_all(*events, now=now)


@pytest.mark.django_db(transaction=True)
def test_acknowledged_events_survive_power_cuts_and_are_credited_once() -> None:
    began = timezone.now().replace(microsecond=0) - timedelta(minutes=10)
    hosts = [host(f"orch-{number}", f"192.0.2.{number + 1}") for number in range(EDGES)]
    left_alone = host("orch-left-alone", "192.0.2.250")
    abandon_sessions(began)
    port, chance = ports.any_free(), random.Random()
    edges = [Edge(number, f"http://127.0.0.1:{port}", began) for number in range(EDGES)]

    for edge in edges:
        edge.start()
    with ExitStack() as ending:
        for edge in edges:
            ending.callback(edge.done.set)
        for _ in range(POWER_CUTS):
            app.send_task(REAPER)
            with running_server(2, SETTINGS, port) as server, running_worker(SETTINGS) as worker:
                time.sleep(chance.uniform(0, 0.3))
                worker.kill()
                time.sleep(chance.uniform(0, 0.3))
                server.kill()
    for edge in edges:
        edge.join(timeout=20)

    # --- Everything is sent again, to a server that knows nothing of what happened ---
    with running_worker(SETTINGS) as worker, running_server(2, SETTINGS, port) as server:
        app.send_task(REAPER)
        with httpx.Client(base_url=server.url, headers=REPORTER, timeout=30) as client:
            for edge in edges:
                events = [event for life in edge.sent for event in life]
                for start in range(0, len(events), 1_000):
                    some = events[start : start + 1_000]
                    answer = client.post(BATCH, json={"events": some})
                    for event, result in zip(some, answer.json()["results"], strict=True):
                        known = edge.answers.get((event["session_id"], event["event_id"]))
                        assert known is None or result["session"] == known
        wait_for_the_reaper(worker)

    assert [edge.failures for edge in edges] == [[]] * EDGES
    acknowledged = {key for edge in edges for key in edge.answers}
    assert acknowledged
    assert acknowledged <= set(SessionEvent.objects.values_list("session_id", "event_id"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.SESSION_SEGMENT_SECONDS", 40)
        assert_books_hold()
    for edge, orchestrator in zip(edges, hosts, strict=True):
        assert owed(orchestrator) == len(edge.sent) * SERVED_SECONDS * WEI_PER_MINUTE // 60
    assert owed(left_alone) == ABANDONED * WEI_PER_MINUTE


def wait_for_the_reaper(worker: Running) -> None:
    deadline = time.monotonic() + 30
    while StreamSession.objects.open().exists():
        assert time.monotonic() < deadline, worker.log.read_text()
        time.sleep(0.1)
