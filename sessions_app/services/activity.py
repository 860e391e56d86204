"""Activity of orchestrators: live sessions and activity leases, read in a fixed number of statements."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Case, Count, Exists, F, OuterRef, Q, When

from billing.models import Orchestrator
from billing.services.liveness import Activity, LastSession
from sessions_app.models import ActivityLease, StreamSession


def for_orchestrators(orchestrator_pks: Collection[int], *, now: datetime) -> dict[int, Activity]:
    """What these orchestrators are busy with, by primary key; who is idle is left out."""
    pks = list(orchestrator_pks)
    sessions = _open_sessions(pks, now=now)
    leases = _leases(pks, now=now)
    newest = _newest_sessions(pks)
    return {
        pk: Activity(
            sessions=sessions.get(pk, (0, 0))[0],
            leases=sessions.get(pk, (0, 0))[1] + leases.get(pk, 0),
            last_session=newest.get(pk),
        )
        for pk in sessions.keys() | leases.keys()
    }


def _open_sessions(pks: list[int], *, now: datetime) -> Mapping[int, tuple[int, int]]:
    """Per orchestrator: sessions seen within the idle timeout, and sessions whose lease still runs."""
    seen = Q(last_seen_at__gte=now - timedelta(seconds=settings.SESSION_IDLE_TIMEOUT_SECONDS))
    leased = Q(
        last_seen_at__gt=now - timedelta(seconds=settings.ACTIVITY_LEASE_SECONDS), lease_hidden_at=None
    )
    rows = (
        StreamSession.objects.open()
        .filter(orchestrator__in=pks)
        .order_by()
        .values_list("orchestrator")
        .annotate(active=Count("pk", filter=seen), leases=Count("pk", filter=leased))
    )
    return {pk: (active, leases) for pk, active, leases in rows}


def _leases(pks: list[int], *, now: datetime) -> Mapping[int, int]:
    live = ActivityLease.objects.live(now=now).filter(orchestrator__in=pks).order_by()
    return dict(live.values_list("orchestrator").annotate(Count("pk")))


def _newest_sessions(pks: list[int]) -> Mapping[int, LastSession]:
    """Per orchestrator, the open session that was heard of last."""
    host_of_another = Orchestrator.objects.filter(host_public_ip=OuterRef("upstream_addr")).exclude(
        pk=OuterRef("orchestrator")
    )
    rows = (
        StreamSession.objects.open()
        .filter(orchestrator__in=pks)
        .order_by("orchestrator_id", "-updated_at")
        .distinct("orchestrator_id")
        .annotate(own_addr=Case(When(~Exists(host_of_another), then=F("upstream_addr"))))
        .values_list("orchestrator_id", "updated_at", "last_seen_at", "own_addr", "edge_id")
    )
    return {
        pk: LastSession(heard_at, seen_at, upstream_addr, edge_id)
        for pk, heard_at, seen_at, upstream_addr, edge_id in rows
        if pk is not None
    }
