"""The double-entry ledger: accounts, entries, legs. Written through `billing.services.ledger` only.

PostgreSQL keeps what these classes promise (see the migration `ledger_promises`): the legs of an entry
sum to zero per asset and arrive together, entries and legs never change, a leg's asset is its account's,
and no balance goes below its account's floor.
"""

from django.db import models
from django.db.models import F, Q

from billing.models.orchestrators import Orchestrator
from core.fields import AmountField


class Asset(models.TextChoices):
    """What an amount counts; always whole numbers of the smallest unit."""

    ETH = "ETH", "ETH (wei)"
    CREDIT = "CREDIT", "credits"
    FREE_USE = "FREE_USE", "free uses"
    USD = "USD", "USD (cents)"


class Kind(models.TextChoices):
    """Why an entry exists. `docs/ledger.md` lists the legs of each, `billing.kinds` says what it means."""

    SESSION_SEGMENT = "session_segment", "Session segment"
    ADJUSTMENT = "adjustment", "Adjustment"


class Account(models.Model):
    """A place where value of one asset lies.

    A kept account stores its running balance here and on each leg; a contra account (the platform's side)
    stores none, is never locked, and its balance is the sum of its legs.
    """

    address = models.CharField(max_length=200)
    asset = models.CharField(max_length=16, choices=Asset)
    kept = models.BooleanField()
    floor = AmountField(null=True, blank=True)
    balance = AmountField(null=True, blank=True)
    orchestrator = models.ForeignKey(
        Orchestrator, null=True, blank=True, on_delete=models.PROTECT, related_name="accounts"
    )

    class Meta:
        ordering = ["address"]
        constraints = [
            models.UniqueConstraint(fields=["address", "asset"], name="billing_account_address_is_unique"),
            models.UniqueConstraint(fields=["id", "asset"], name="billing_account_asset_key"),
            models.CheckConstraint(
                condition=Q(kept=True, balance__isnull=False)
                | Q(kept=False, balance__isnull=True, floor__isnull=True),
                name="billing_account_keeps_a_balance_or_is_contra",
            ),
            models.CheckConstraint(
                condition=Q(floor__isnull=True) | Q(balance__gte=F("floor")),
                name="billing_account_balance_stays_above_its_floor",
            ),
        ]

    def __str__(self) -> str:
        return self.address


class Entry(models.Model):
    """One business event in the books. Immutable; a mistake is answered with a reversal.

    `key` is the event's own sentence and makes posting idempotent. `effective_at` is when the value was
    earned or moved, `recorded_at` when we wrote it down. `orchestrator` is whose balance the entry is about.
    """

    key = models.CharField("idempotency key", max_length=400, unique=True)
    kind = models.CharField(max_length=32, choices=Kind)
    reason = models.CharField(max_length=256, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    orchestrator = models.ForeignKey(
        Orchestrator, null=True, blank=True, on_delete=models.PROTECT, related_name="entries"
    )
    effective_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    actor = models.CharField(max_length=150, blank=True)
    reverses = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="reversed_by"
    )

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "entries"
        permissions = [
            ("reverse_entry", "Can reverse entries"),
            ("export_ledger", "Can take the books away as CSV"),
        ]
        indexes = [
            # The journal of one orchestrator, newest first.
            models.Index(fields=["orchestrator", "-id"], name="billing_entry_of_orchestrator"),
            models.Index(fields=["recorded_at"], name="billing_entry_recorded_at"),
            # The few entries that are not session time, which a list of millions would hide.
            models.Index(
                fields=["kind", "recorded_at"],
                condition=~Q(kind="session_segment"),
                name="billing_entry_beside_sessions",
            ),
        ]

    def __str__(self) -> str:
        return self.key


class Leg(models.Model):
    """One account's part of an entry: a signed amount. Positive increases the account.

    `kind` and `effective_at` repeat the entry's, so that sums over one account per day and kind read one
    index; `check_ledger` proves that they agree.
    """

    entry = models.ForeignKey(Entry, on_delete=models.PROTECT, related_name="legs")
    # PostgreSQL proves the account together with the asset, by one foreign key on both.
    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="legs", db_index=False, db_constraint=False
    )
    asset = models.CharField(max_length=16, choices=Asset)
    amount = AmountField()
    balance_after = AmountField(null=True, blank=True)
    kind = models.CharField(max_length=32, choices=Kind)
    effective_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [
            # In this order it is also the index behind "this account's balance as of that entry".
            models.UniqueConstraint(
                fields=["account", "entry"], name="billing_leg_is_one_per_account_and_entry"
            ),
            models.CheckConstraint(condition=~Q(amount=0), name="billing_leg_moves_something"),
        ]
        indexes = [
            # An account's chain of balances, in the order it was written.
            models.Index(fields=["account", "id"], name="billing_leg_of_account"),
            # Sums of one account per day and kind, from the index alone.
            models.Index(
                fields=["account", "effective_at"], include=["kind", "amount"], name="billing_leg_sums"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account_id}: {self.amount}"
