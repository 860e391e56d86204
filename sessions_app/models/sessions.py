"""Stream sessions: generations, billed segments, and the events that changed their course."""

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import F, Q

from billing.models import Entry, Orchestrator
from core.fields import AmountField


class Trigger(models.TextChoices):
    """What closed a segment."""

    SEGMENT = "segment", "Full length"
    END = "end", "Session ended"
    TIMEOUT = "timeout", "Silence"
    REATTRIBUTION = "reattribution", "Moved to another host"


class StreamSessionQuerySet(models.QuerySet["StreamSession"]):
    def newest(self) -> Self:
        """The present generation of each session id."""
        return self.filter(is_newest=True)

    def open(self) -> Self:
        return self.filter(ended_at=None)

    def leased(self) -> Self:
        """Seen as activity leases: attributed, in their newest generation."""
        return self.newest().filter(orchestrator__isnull=False)

    def active(self, *, now: datetime, idle: timedelta) -> Self:
        """Open and heard of within the idle timeout."""
        return self.newest().open().filter(last_seen_at__gte=now - idle)

    def silent(self, *, now: datetime, gap: timedelta) -> Self:
        """Open, and neither their events nor our receipt of them is younger than the maximum gap."""
        return self.newest().open().filter(last_seen_at__lt=now - gap, updated_at__lt=now - gap)


class StreamSession(models.Model):
    """One generation of a stream session: one start-to-end life of a session id.

    `last_billed_at` is the cursor: the start of the open segment. `updated_at` is when the last event
    reached us. A heartbeat updates one row and no index, so the columns it writes stay out of the indexes;
    that is why `ended_seen_at` repeats `last_seen_at` once the session has ended: ended sessions can be
    listed by it from an index, and the few open ones are sorted as they are.
    """

    # Compared byte by byte, like the lease ids that it appears under.
    session_id = models.CharField("session id", max_length=128, db_collation="C")
    generation = models.PositiveIntegerField(default=1)
    is_newest = models.BooleanField(default=True)
    orchestrator = models.ForeignKey(
        Orchestrator,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="sessions",
        db_index=False,
    )
    upstream_addr = models.GenericIPAddressField("upstream address")
    upstream_port = models.PositiveIntegerField()
    edge_id = models.CharField("edge id", max_length=64, null=True, blank=True)
    streamer_id = models.CharField("streamer id", max_length=128, null=True, blank=True)
    started_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_seen_at = models.DateTimeField(null=True, blank=True, editable=False)
    updated_at = models.DateTimeField()
    last_event = models.CharField(max_length=16)
    heartbeat_count = models.PositiveIntegerField(default=0)
    last_billed_at = models.DateTimeField()
    segment_index = models.PositiveIntegerField(default=0)
    billed_ms = models.BigIntegerField(default=0)
    billed_wei = AmountField(default=0)
    last_credited_wei = AmountField(default=0)
    reported_ip = models.GenericIPAddressField("reported by", null=True, blank=True)
    lease_hidden_at = models.DateTimeField(null=True, blank=True)

    objects = StreamSessionQuerySet.as_manager()

    class Meta:
        ordering = ["-started_at", "-id"]
        verbose_name = "session"
        constraints = [
            models.UniqueConstraint(
                fields=["session_id", "generation"], name="sessions_generation_is_unique"
            ),
            models.UniqueConstraint(
                fields=["session_id"],
                condition=Q(is_newest=True),
                name="sessions_one_generation_is_newest",
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None) | Q(ended_at__gte=F("started_at")),
                name="sessions_end_after_they_start",
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, ended_seen_at=None)
                | Q(ended_at__isnull=False, ended_seen_at=F("last_seen_at")),
                name="sessions_ended_seen_at_repeats_last_seen_at",
            ),
            models.CheckConstraint(
                condition=Q(is_newest=True) | Q(ended_at__isnull=False),
                name="sessions_older_generations_have_ended",
            ),
            models.CheckConstraint(
                condition=Q(billed_wei__gte=0, billed_ms__gte=0), name="sessions_never_owe"
            ),
        ]
        indexes = [
            # The list, newest first; and the same for one orchestrator.
            models.Index(
                fields=["-started_at", "-id"], condition=Q(is_newest=True), name="sessions_newest_first"
            ),
            models.Index(fields=["orchestrator", "-started_at", "-id"], name="sessions_of_orchestrator"),
            # What is live: the reaper, the activity of orchestrators, active lists. Small, and untouched
            # by heartbeats.
            models.Index(fields=["orchestrator"], condition=Q(ended_at=None), name="sessions_open"),
            # Ended sessions as leases, last seen first; and the same for one orchestrator.
            models.Index(
                fields=["-ended_seen_at", "-session_id"],
                condition=Q(is_newest=True, ended_seen_at__isnull=False, orchestrator__isnull=False),
                name="sessions_ended_last_seen",
            ),
            models.Index(
                fields=["orchestrator", "-ended_seen_at", "-session_id"],
                condition=Q(is_newest=True, ended_seen_at__isnull=False, orchestrator__isnull=False),
                name="sessions_ended_of_orchestrator",
            ),
            # Attribution by "the session last seen from this address".
            models.Index(fields=["upstream_addr", "-started_at"], name="sessions_upstream_addr"),
        ]

    def __str__(self) -> str:
        return self.session_id if self.generation == 1 else f"{self.session_id} ({self.generation})"


class Segment(models.Model):
    """A billed slice of a session, closed once. Credited, or counted without credit for good."""

    session = models.ForeignKey(StreamSession, on_delete=models.PROTECT, related_name="segments")
    segment_index = models.PositiveIntegerField()
    orchestrator = models.ForeignKey(
        Orchestrator, null=True, blank=True, on_delete=models.PROTECT, related_name="segments"
    )
    trigger = models.CharField(max_length=16, choices=Trigger)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    duration_ms = models.PositiveBigIntegerField()
    amount_wei = AmountField(default=0)
    edge_id = models.CharField("edge id", max_length=64, null=True, blank=True)
    streamer_id = models.CharField("streamer id", max_length=128, null=True, blank=True)
    proof_hash = models.CharField(max_length=71, null=True, blank=True)
    uncredited_reason = models.CharField(max_length=32, blank=True)
    entry = models.OneToOneField(
        Entry, null=True, blank=True, on_delete=models.PROTECT, related_name="segment"
    )

    class Meta:
        ordering = ["session", "segment_index"]
        constraints = [
            models.UniqueConstraint(fields=["session", "segment_index"], name="sessions_segment_closes_once"),
            models.CheckConstraint(
                condition=Q(started_at__lt=F("ended_at")) & Q(duration_ms__gt=0),
                name="sessions_segment_has_length",
            ),
            models.CheckConstraint(
                condition=Q(entry__isnull=False, amount_wei__gt=0, uncredited_reason="")
                | (Q(entry__isnull=True, amount_wei=0) & ~Q(uncredited_reason="")),
                name="sessions_segment_is_credited_or_says_why_not",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.session_id}/{self.segment_index}"


class SessionEvent(models.Model):
    """An event that changed a session's course, or that carried an `event_id`.

    Plain heartbeats leave no row. `result` is the session's row as the event left it, from which a repeated
    `event_id` is answered; results are forgotten after 35 days, the rest stays for the session's timeline.
    """

    session_id = models.CharField("session id", max_length=128)
    event_id = models.CharField("event id", max_length=128, null=True, blank=True)
    generation = models.PositiveIntegerField()
    event = models.CharField(max_length=16)
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField()
    edge_id = models.CharField("edge id", max_length=64, null=True, blank=True)
    result = models.JSONField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["session_id", "event_id"],
                condition=Q(event_id__isnull=False),
                name="sessions_event_id_is_applied_once",
            ),
        ]
        indexes = [
            models.Index(fields=["session_id", "id"], name="sessions_event_timeline"),
            # Forgetting results by age: rows arrive in time order, so block ranges are enough.
            models.Index(fields=["received_at"], name="sessions_event_received_at"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.session_id}"
