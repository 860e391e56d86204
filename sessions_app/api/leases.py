"""Activity leases: create, heartbeat, revoke, list."""

from typing import Annotated, Any, Literal

from django.utils import timezone
from pydantic import Field, StringConstraints
from rest_framework.request import Request
from rest_framework.response import Response

from billing.services.registry import UnknownOrchestrator
from core import pages
from core.access import Admin, Viewer
from core.api import EmbodyView
from core.doorway import doorway
from core.errors import PayloadTooLarge
from core.net import client_ip, normalise_ip
from core.openapi import operation
from core.timestamps import zulu
from core.wire import Clean, Done, Identifier, Input, JsonObject, Output, Text, ZuluTime, within_object_cap
from sessions_app.models import ActivityLease
from sessions_app.services import lease_list, leases

LeaseSeconds = Annotated[int, Field(ge=30, le=86_400)]
_LEASE = {
    "lease_id": "5c1a3bb0c1f84e7f9f6a4f0c4a3f0f52",
    "orchestrator_id": "orch-a",
    "upstream_addr": "203.0.113.10",
    "kind": "workload",
    "metadata": {"workload": "render-42"},
    "issued_at": "2026-11-20T12:00:00Z",
    "last_seen_at": "2026-11-20T12:05:00Z",
    "last_seen_ip": "198.51.100.7",
    "expires_at": "2026-11-20T12:20:00Z",
    "revoked_at": None,
}


class NewLease(Input):
    """A mark that an orchestrator is in use, for `lease_seconds` from now."""

    orchestrator_id: Identifier
    upstream_addr: Annotated[str, StringConstraints(min_length=1, max_length=255), Clean]
    kind: Annotated[str, StringConstraints(min_length=1, max_length=32), Clean] = "workload"
    lease_seconds: LeaseSeconds | None = None
    metadata: JsonObject = {}


class LeaseHeartbeat(Input):
    """Whose lease is alive, and for how much longer."""

    orchestrator_id: Identifier
    lease_seconds: LeaseSeconds | None = None


class LeasePage(Input):
    """Which leases. `active_only` leaves out revoked and expired ones."""

    orchestrator_id: Text | None = None
    active_only: bool = False
    limit: Annotated[int, Field(ge=1, le=2000)] = 200
    cursor: Text | None = None


class LeaseRecord(Output):
    """An activity lease. `session:<session_id>` is the lease that a live session is."""

    lease_id: str
    orchestrator_id: str
    upstream_addr: str
    kind: str
    metadata: dict[str, Any]
    issued_at: ZuluTime
    last_seen_at: ZuluTime
    last_seen_ip: str | None
    expires_at: ZuluTime
    revoked_at: ZuluTime | None


class LeaseList(Output):
    """Leases, last seen first."""

    leases: list[LeaseRecord]
    next_cursor: str | None


class LeaseRevoked(Done):
    """The lease is revoked."""

    ok: Literal[True] = True
    lease_id: str


class Leases(EmbodyView):
    """Short liveness marks that keep watchers from putting a host to sleep."""

    access = {"GET": Viewer, "POST": Admin}

    @operation(
        "list_activity_leases",
        tag="activity leases",
        summary="List activity leases, last seen first",
        query=LeasePage,
        answers=LeaseList,
        refusals=[pages.InvalidCursor],
        answer={"leases": [_LEASE], "next_cursor": None},
    )
    def get(self, request: Request) -> Response:
        query = self.query(LeasePage)
        filters = {
            "list": "leases",
            "orchestrator_id": query.orchestrator_id,
            "active_only": query.active_only,
        }
        after = pages.decode(query.cursor, filters)
        rows = lease_list.fetch(
            orchestrator_id=query.orchestrator_id,
            active_only=query.active_only,
            after=(after[0], after[1]) if after else None,
            limit=query.limit + 1,
            now=timezone.now(),
        )
        shown, cursor = pages.page(
            rows,
            limit=query.limit,
            key=lambda row: [zulu(row["last_seen_at"]), row["lease_id"]],
            filters=filters,
        )
        return Response({"leases": [_spelled(row) for row in shown], "next_cursor": cursor})

    @operation(
        "create_activity_lease",
        tag="activity leases",
        summary="Mark an orchestrator as in use",
        takes=NewLease,
        answers=LeaseRecord,
        refusals=[PayloadTooLarge, UnknownOrchestrator],
        example={
            "orchestrator_id": "orch-a",
            "upstream_addr": "203.0.113.10",
            "lease_seconds": 900,
            "metadata": {"workload": "render-42"},
        },
        answer=_LEASE,
    )
    def post(self, request: Request) -> Response:
        wanted = self.body(NewLease)
        metadata = within_object_cap(wanted.metadata)
        with doorway():
            lease = leases.create(
                orchestrator_id=wanted.orchestrator_id,
                upstream_addr=wanted.upstream_addr,
                kind=wanted.kind,
                metadata=metadata,
                lease_seconds=wanted.lease_seconds,
                caller_ip=client_ip(request.META),
                now=timezone.now(),
            )
        return Response(_record(lease))


class OneLease(EmbodyView):
    """One activity lease."""

    access = {"DELETE": Admin}

    @operation(
        "revoke_activity_lease",
        tag="activity leases",
        summary="Revoke an activity lease; repeating it changes nothing",
        answers=LeaseRevoked,
        refusals=[leases.LeaseNotFound],
    )
    def delete(self, request: Request, lease_id: str) -> Response:
        with doorway():
            leases.revoke(lease_id=lease_id, now=timezone.now())
        return Response(LeaseRevoked(lease_id=lease_id))


class LeaseHeartbeats(EmbodyView):
    """Signs of life of one activity lease."""

    access = {"POST": Admin}

    @operation(
        "heartbeat_activity_lease",
        tag="activity leases",
        summary="Extend an activity lease from now",
        takes=LeaseHeartbeat,
        answers=LeaseRecord,
        refusals=[leases.LeaseNotFound],
        example={"orchestrator_id": "orch-a", "lease_seconds": 900},
        answer=_LEASE,
    )
    def post(self, request: Request, lease_id: str) -> Response:
        beat = self.body(LeaseHeartbeat)
        with doorway():
            lease = leases.heartbeat(
                lease_id=lease_id,
                orchestrator_id=beat.orchestrator_id,
                lease_seconds=beat.lease_seconds,
                caller_ip=client_ip(request.META),
                now=timezone.now(),
            )
        return Response(_record(lease))


def _spelled(row: lease_list.Row) -> dict[str, Any]:
    """A row of the list as `LeaseRecord` describes it; models would take most of the time of a long page."""
    revoked_at = row["revoked_at"]
    return {
        **row,
        "issued_at": zulu(row["issued_at"]),
        "last_seen_at": zulu(row["last_seen_at"]),
        "expires_at": zulu(row["expires_at"]),
        "revoked_at": None if revoked_at is None else zulu(revoked_at),
    }


def _record(lease: ActivityLease) -> LeaseRecord:
    return LeaseRecord(
        lease_id=lease.lease_id,
        orchestrator_id=lease.orchestrator.orchestrator_id,
        upstream_addr=lease.upstream_addr,
        kind=lease.kind,
        metadata=lease.metadata,
        issued_at=lease.issued_at,
        last_seen_at=lease.last_seen_at,
        last_seen_ip=lease.last_seen_ip and normalise_ip(lease.last_seen_ip),
        expires_at=lease.expires_at,
        revoked_at=lease.revoked_at,
    )
