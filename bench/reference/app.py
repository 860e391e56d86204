"""One endpoint on FastAPI and asyncpg, one statement per event; the benchmark hands it the statements."""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Literal

import asyncpg
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from pydantic import BaseModel, Field

TOKEN = os.environ["PAYMENTS_SESSION_REPORTER_TOKEN"]
HEARTBEAT = os.environ["REFERENCE_HEARTBEAT"]
CLOSE = os.environ["REFERENCE_CLOSE"]
MAX_GAP, SEGMENT = timedelta(seconds=180), timedelta(seconds=2400)
FACTS = ("last_seen_at", "edge_id", "streamer_id", "started_at", "last_billed_at", "billed_ms", "billed_wei",
         "heartbeat_count", "generation", "orchestrator_id")  # fmt: skip


class Event(BaseModel):
    session_id: Annotated[str, Field(min_length=1, max_length=128)]
    event: Literal["start", "heartbeat", "end"] = "heartbeat"
    upstream_addr: IPv4Address | IPv6Address
    upstream_port: Annotated[int, Field(ge=1, le=65_535)] = 8080
    edge_id: Annotated[str, Field(max_length=64)] | None = None
    orchestrator_id: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    streamer_id: Annotated[str, Field(max_length=128)] | None = None
    event_id: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    occurred_at: datetime | None = None


class Record(BaseModel):
    session_id: str
    orchestrator_id: str | None
    upstream_addr: str
    upstream_port: int
    edge_id: str | None
    streamer_id: str | None
    started_at: datetime
    last_seen_at: datetime
    ended_at: datetime | None = None
    last_billed_at: datetime
    billed_ms: int
    billed_eth: str
    last_credited_eth: str
    heartbeat_count: int
    last_event: str = "heartbeat"
    updated_at: datetime
    generation: int


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=8, max_size=8) as pool:
        app.state.pool = pool
        yield


def reporter(x_session_token: Annotated[str, Header()] = "") -> None:
    if not secrets.compare_digest(x_session_token, TOKEN):
        raise HTTPException(401, "Session reporter token required")


app = FastAPI(lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/api/sessions/events", dependencies=[Depends(reporter)])
async def report(event: Event, request: Request) -> Record:
    now = datetime.now(UTC)
    values = (
        *(0, event.session_id, event.orchestrator_id, event.upstream_addr, event.upstream_port),
        *(event.edge_id, event.streamer_id, event.event_id, event.occurred_at or now),
        *(event.occurred_at is not None, now, request.client.host, MAX_GAP, SEGMENT),
    )
    async with request.app.state.pool.acquire() as connection:
        row = await connection.fetchrow(HEARTBEAT, *values)
        credited = 0
        if row is None:
            row = await connection.fetchrow(CLOSE, event.session_id, now)
            credited = row["credited"]
    return Record(
        session_id=event.session_id,
        upstream_addr=str(event.upstream_addr),
        upstream_port=event.upstream_port,
        billed_eth=f"{row['billed_wei'] / 10**18:f}",
        last_credited_eth=f"{credited / 10**18:f}",
        updated_at=now,
        **{name: row[name] for name in FACTS if name != "billed_wei"},
    )
