"""What staff may do to a host: adjust its balance, put it on the denylist, take it off again."""

import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from billing.models import Orchestrator
from billing.services import adjustments, denylist
from core.admin import Done, ReasonForm, Verb
from core.money import MAX_WEI, eth_from_wei, wei_from_eth


class AdjustForm(ReasonForm):
    """An amount in ETH, plus or minus, exact to the wei."""

    amount_eth = forms.CharField(
        label="Amount in ETH",
        max_length=100,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        help_text="Positive credits the host, negative takes back. At most 18 decimals.",
    )
    notes = forms.CharField(
        required=False,
        max_length=1024,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Kept with the entry.",
    )
    # Pressing the button twice posts once.
    once = forms.UUIDField(initial=uuid.uuid4, widget=forms.HiddenInput())
    field_order = ["amount_eth", "reason", "notes"]

    def clean_amount_eth(self) -> int:
        """The amount in whole wei."""
        try:
            eth = Decimal(self.cleaned_data["amount_eth"].strip())
            # Looked at by magnitude first: 1e999999999 must not be written out to be found too large.
            wei = wei_from_eth(eth) if eth.is_finite() and eth.adjusted() <= 60 else MAX_WEI + 1
        except (ValueError, ArithmeticError):
            raise forms.ValidationError("Enter an amount in ETH with at most 18 decimals.") from None
        if not wei:
            raise forms.ValidationError("The amount must not be zero.")
        if abs(wei) > MAX_WEI:
            raise forms.ValidationError("This amount is too large.")
        return wei


def _adjust(host: Orchestrator, answers: Mapping[str, Any], actor: str) -> Done:
    adjustment = adjustments.post(
        orchestrator_id=host.orchestrator_id,
        amount_wei=answers["amount_eth"],
        reason=answers["reason"],
        reference_workload_id=None,
        notes=answers["notes"],
        idempotency_key=f"staff {answers['once']}",
        actor=actor,
        now=timezone.now(),
    )
    balance = eth_from_wei(adjustment.balance_wei)
    return Done(
        f"Adjusted the balance of {host} by {eth_from_wei(adjustment.delta_wei)} ETH to {balance} ETH."
    )


def _put_on(host: Orchestrator, answers: Mapping[str, Any], actor: str) -> Done:
    denylist.put_on(orchestrator_pk=host.pk, reason=answers["reason"], actor=actor, now=timezone.now())
    return Done(f"{host} is on the denylist.")


def _take_off(host: Orchestrator, answers: Mapping[str, Any], actor: str) -> Done:
    denylist.take_off(orchestrator_pk=host.pk, reason=answers["reason"], actor=actor, now=timezone.now())
    return Done(f"{host} is off the denylist.")


ADJUST = Verb(
    name="adjust-balance",
    title="Adjust balance",
    icon="exposure",
    permission="billing.adjust_balance",
    form=AdjustForm,
    explain=lambda host: f"Posts an entry between the platform's adjustments and what {host} is owed.",
    run=_adjust,
)
PUT_ON = Verb(
    name="denylist",
    title="Put on denylist",
    icon="block",
    permission="billing.denylist_orchestrator",
    danger=True,
    explain=lambda host: (
        f"{host} earns nothing and is paid nothing while it is on the denylist. "
        "What it earned before stays on its account."
    ),
    available=lambda host: not host.denylisted,
    run=_put_on,
)
TAKE_OFF = Verb(
    name="take-off-denylist",
    title="Take off denylist",
    icon="check_circle",
    permission="billing.denylist_orchestrator",
    explain=lambda host: f"{host} earns again from now on. What it served meanwhile is not credited later.",
    available=lambda host: host.denylisted,
    run=_take_off,
)
