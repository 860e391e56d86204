"""Orchestrators and the tokens that prove who they are."""

from collections.abc import Iterable
from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower


class OrchestratorQuerySet(models.QuerySet["Orchestrator"]):
    def with_address(self, address: str) -> Self:
        """Whoever owns this payout address, in any spelling."""
        return self.with_addresses([address])

    def with_addresses(self, addresses: Iterable[str]) -> Self:
        """Whoever owns one of these payout addresses, in any spelling."""
        lowered = [address.lower() for address in addresses]
        return self.alias(lowered=Lower("address")).filter(lowered__in=lowered)

    def claiming(self, *, orchestrator_id: str, address: str, host_public_ip: str | None) -> Self:
        """Whoever has this id, this payout address or this host address: at most three."""
        claims = Q(orchestrator_id=orchestrator_id) | Q(lowered=address.lower())
        if host_public_ip is not None:
            claims |= Q(host_public_ip=host_public_ip)
        return self.alias(lowered=Lower("address")).filter(claims).order_by("pk")


class Orchestrator(models.Model):
    """One GPU host that serves sessions and is owed for it.

    The addresses it may be recognised by (`host_public_ip`, `last_seen_ip`, `last_session_upstream_addr`,
    `health_ip`, `forwarder_ip`) are stored normalised and indexed, because session events are attributed
    by them.
    """

    orchestrator_id = models.CharField("orchestrator id", max_length=128, unique=True)
    address = models.CharField("payout address", max_length=42)
    address_verified = models.BooleanField(default=False)
    capability = models.CharField(max_length=128, null=True, blank=True)
    contact_email = models.CharField(max_length=255, null=True, blank=True)
    host_public_ip = models.GenericIPAddressField("host public IP", null=True, blank=True, unique=True)
    host_name = models.CharField(max_length=128, null=True, blank=True)
    monitored_services = models.JSONField(null=True, blank=True)
    min_service_uptime = models.FloatField(null=True, blank=True)

    health_url = models.CharField("health URL", max_length=512, null=True, blank=True)
    health_ip = models.GenericIPAddressField("health URL host", null=True, blank=True, editable=False)
    health_timeout = models.FloatField("health timeout (s)", null=True, blank=True)
    last_healthy_at = models.DateTimeField(null=True, blank=True)
    last_missed_all_services = models.DateTimeField(null=True, blank=True)
    forwarder_source = models.CharField(max_length=64, null=True, blank=True)
    forwarder_reported_at = models.DateTimeField(null=True, blank=True)
    forwarder_data = models.JSONField(null=True, blank=True)
    forwarder_ip = models.GenericIPAddressField("forwarder IP", null=True, blank=True, editable=False)

    is_top_100 = models.BooleanField("in the top set", default=True)
    denylisted = models.BooleanField(default=False)
    cooldown_expires_at = models.DateTimeField(null=True, blank=True)
    last_cooldown_started_at = models.DateTimeField(null=True, blank=True)
    last_cooldown_cleared_at = models.DateTimeField(null=True, blank=True)

    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    last_seen_ip = models.GenericIPAddressField("last seen IP", null=True, blank=True)
    last_contact_source = models.CharField(max_length=64, null=True, blank=True)
    registration_count = models.PositiveIntegerField(default=0)
    last_session_upstream_addr = models.GenericIPAddressField(null=True, blank=True)
    last_session_seen_at = models.DateTimeField(null=True, blank=True)
    last_session_edge_id = models.CharField(max_length=64, null=True, blank=True)

    desired_pin = models.JSONField(null=True, blank=True)
    last_ops_upgrade = models.JSONField(null=True, blank=True)

    objects = OrchestratorQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        permissions = [
            ("denylist_orchestrator", "Can put orchestrators on the denylist and take them off"),
            ("adjust_balance", "Can adjust what orchestrators are owed"),
        ]
        constraints = [
            models.UniqueConstraint(
                Lower("address"), name="billing_orchestrator_address_is_unique_in_any_case"
            ),
            models.CheckConstraint(
                condition=Q(address__regex=r"^0x[0-9a-fA-F]{40}$"),
                name="billing_orchestrator_address_is_a_wallet",
            ),
        ]
        indexes = [
            # Attribution asks each of these for "the earliest registered with this address".
            models.Index(fields=["last_seen_ip", "id"], name="billing_orch_last_seen_ip"),
            models.Index(fields=["last_session_upstream_addr", "id"], name="billing_orch_last_upstream"),
            models.Index(fields=["health_ip", "id"], name="billing_orch_health_ip"),
            models.Index(fields=["forwarder_ip", "id"], name="billing_orch_forwarder_ip"),
        ]

    def __str__(self) -> str:
        return self.orchestrator_id

    def in_cooldown(self, *, now: datetime) -> bool:
        return self.cooldown_expires_at is not None and self.cooldown_expires_at > now

    def is_eligible(self, *, now: datetime) -> bool:
        """Whether payments may go out: computed on read, so that an expired cooldown ends at once."""
        rank_ok = not settings.TOP_CONTRACT_ADDRESS or self.is_top_100
        return not self.denylisted and not self.in_cooldown(now=now) and rank_ok


class OrchestratorTokenQuerySet(models.QuerySet["OrchestratorToken"]):
    def live(self, *, now: datetime) -> Self:
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)


class OrchestratorToken(models.Model):
    """One credential of an orchestrator; the token itself is shown once and only its hash is kept."""

    token_id = models.CharField(max_length=32, unique=True)
    orchestrator = models.ForeignKey(Orchestrator, on_delete=models.PROTECT, related_name="tokens")
    token_hash = models.CharField(max_length=71, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)

    objects = OrchestratorTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = "token"
        permissions = [
            ("mint_token", "Can mint tokens of orchestrators"),
            ("revoke_token", "Can revoke tokens of orchestrators"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(token_hash__regex=r"^sha256:[0-9a-f]{64}$"),  # noqa: S106 - a pattern
                name="billing_token_is_stored_as_a_hash",
            )
        ]
        indexes = [models.Index(fields=["orchestrator", "-created_at"], name="billing_token_by_orchestrator")]

    def __str__(self) -> str:
        return self.token_id
