"""Activity leases: short marks that a host is in use."""

from datetime import datetime
from typing import Self

from django.db import models

from billing.models import Orchestrator


class ActivityLeaseQuerySet(models.QuerySet["ActivityLease"]):
    def live(self, *, now: datetime) -> Self:
        return self.filter(revoked_at=None, expires_at__gt=now)


class ActivityLease(models.Model):
    """A mark that keeps watchers from putting a host to sleep, until it expires or is revoked.

    Leases of live sessions are not rows here: readers see them derived from the session itself.
    """

    # Compared byte by byte whatever the database's locale, because lists order rows and sessions together.
    lease_id = models.CharField("lease id", max_length=255, unique=True, db_collation="C")
    orchestrator = models.ForeignKey(
        Orchestrator, on_delete=models.PROTECT, related_name="activity_leases", db_index=False
    )
    upstream_addr = models.CharField("upstream address", max_length=255)
    kind = models.CharField(max_length=32)
    metadata = models.JSONField(default=dict, blank=True)
    issued_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    last_seen_ip = models.GenericIPAddressField("last seen IP", null=True, blank=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ActivityLeaseQuerySet.as_manager()

    class Meta:
        ordering = ["-last_seen_at", "-id"]
        permissions = [("revoke_lease", "Can revoke activity leases")]
        indexes = [
            # The list, last seen first; and the same for one orchestrator.
            models.Index(fields=["-last_seen_at", "-lease_id"], name="sessions_lease_last_seen"),
            models.Index(
                fields=["orchestrator", "-last_seen_at", "-lease_id"], name="sessions_lease_of_orchestrator"
            ),
            # What is live: the few rows at the end of this one.
            models.Index(
                fields=["expires_at"], condition=models.Q(revoked_at=None), name="sessions_lease_live"
            ),
        ]

    def __str__(self) -> str:
        return self.lease_id

    def is_live(self, *, now: datetime) -> bool:
        return self.revoked_at is None and self.expires_at > now
