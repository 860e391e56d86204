"""Whatever is posted, in whatever order and however often: the books hold."""

from collections import defaultdict

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import chart
from billing.chart import Place
from billing.models import Account, Asset, Kind, Leg
from billing.services import ledger
from billing.services.ledger import BalanceOutOfRange, IdempotencyConflict, InsufficientFunds, Posting
from core.money import MAX_WEI
from tests.billing.books import NOON

pytestmark = pytest.mark.django_db

PLACES = {
    Asset.ETH: [
        Place("a", Asset.ETH, kept=True),
        Place("b", Asset.ETH, kept=True),
        Place("c", Asset.ETH, kept=True, floor=0),
        chart.platform("compute"),
        chart.platform("adjustments"),
    ],
    Asset.CREDIT: [
        Place("a", Asset.CREDIT, kept=True, floor=0),
        Place("d", Asset.CREDIT, kept=True, floor=-50),
        chart.platform("credits_sold", Asset.CREDIT),
    ],
}
amounts = st.integers(-200, 200) | st.sampled_from([MAX_WEI, -MAX_WEI])


@st.composite
def balanced(draw: st.DrawFn, asset: Asset) -> dict[Place, int]:
    places = draw(st.lists(st.sampled_from(PLACES[asset]), min_size=2, max_size=4, unique=True))
    legs = {place: draw(amounts.filter(bool)) for place in places[1:]}
    rest = -sum(legs.values())
    return {**legs, places[0]: rest} if rest and abs(rest) <= MAX_WEI else {places[0]: -1, places[1]: 1}


@st.composite
def postings(draw: st.DrawFn) -> Posting:
    assets = draw(st.lists(st.sampled_from(list(PLACES)), min_size=1, unique=True))
    legs = {place: amount for asset in assets for place, amount in draw(balanced(asset)).items()}
    kind = draw(st.sampled_from([Kind.SESSION_SEGMENT, Kind.ADJUSTMENT]))
    return Posting(draw(st.sampled_from("klmnopqrst")), kind, legs, NOON)


def balances_by_legs() -> tuple[dict[int, int], dict[str, int]]:
    """Walk all legs in order, checking every chain; the sums per account and per asset."""
    accounts: dict[int, int] = defaultdict(int)
    assets: dict[str, int] = defaultdict(int)
    for leg in Leg.objects.select_related("account").order_by("id"):
        accounts[leg.account_id] += leg.amount
        assets[leg.asset] += leg.amount
        assert leg.balance_after == (accounts[leg.account_id] if leg.account.kept else None)
    return accounts, assets


@given(batches=st.lists(st.lists(postings(), min_size=1, max_size=5), max_size=8))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_balances_are_the_sum_of_their_legs_and_no_chain_breaks(batches: list[list[Posting]]) -> None:
    with transaction.atomic():
        for batch in batches:
            try:
                with transaction.atomic():
                    ledger.post_many(batch)
            except (InsufficientFunds, IdempotencyConflict, BalanceOutOfRange):
                continue

        accounts, assets = balances_by_legs()
        for account in Account.objects.filter(kept=True):
            assert account.balance == accounts[account.pk]
            assert account.floor is None or account.balance >= account.floor
        assert not any(assets.values())
        transaction.set_rollback(True)
