"""Is the process alive, and can it do its work."""

from datetime import UTC, datetime

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from drf_spectacular.utils import extend_schema
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.response import Response

from core.api import EmbodyView
from core.wire import Output, ZuluTime

PROBE_TIMEOUT_MS = 2_000


class Health(Output):
    """One answer for the checks of all three wire families."""

    status: str
    service: str
    version: str
    database: str
    timestamp: ZuluTime


class Readiness(Output):
    """`status` is `ok`, or names what is missing."""

    status: str


class Live(EmbodyView):
    """Answers 200 while the process lives and its database answers, 503 while the database does not."""

    @extend_schema(operation_id="health", responses={200: Health, 503: Health}, tags=["health"])
    def get(self, request: Request) -> Response:
        connected = _database_answers()
        health = Health(
            status="ok" if connected else "unhealthy",
            service=settings.SERVICE_NAME,
            version=settings.VERSION,
            database="connected" if connected else "disconnected",
            timestamp=datetime.now(UTC),
        )
        return Response(health, status=200 if connected else 503)


class Ready(EmbodyView):
    """Answers 200 while database, migrations and broker are ready, else 503."""

    @extend_schema(operation_id="health_ready", responses={200: Readiness, 503: Readiness}, tags=["health"])
    def get(self, request: Request) -> Response:
        missing = _missing()
        status = f"not ready: {', '.join(missing)}" if missing else "ok"
        return Response(Readiness(status=status), status=503 if missing else 200)


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, false)", [str(PROBE_TIMEOUT_MS)])
            cursor.execute("SELECT 1")
            cursor.execute("RESET statement_timeout")
    except DatabaseError:
        connection.close()
        return False
    return True


def _missing() -> list[str]:
    if not _database_answers():
        return ["database"]
    missing = []
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        missing.append("migrations")
    try:
        cache.get("health")
    except RedisError:
        missing.append("broker")
    return missing
