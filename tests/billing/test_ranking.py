"""The rank check, against a real EVM; and against nodes that are dead or lie."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
import time_machine
from django.db import transaction
from pytest_django import Settings

from billing.services import ranking
from billing.services.ranking import Rank, rank_of
from tests.billing.bonding import Chain, json_rpc
from tests.factories import NOON
from tests.wire import post

ALICE, BOB, CAROL = ("0x" + 20 * byte for byte in ("aB", "0b", "ff"))


def member(number: int) -> str:
    return f"0x{number:040x}"


@pytest.fixture(scope="module")
def chain() -> Chain:
    return Chain()


@pytest.fixture(scope="module")
def node(chain: Chain) -> Iterator[str]:
    with json_rpc(chain.eth_call) as url:
        yield url


@pytest.fixture
def pool(chain: Chain, node: str, settings: Settings) -> None:
    """Alice and Bob are in the top set."""
    settings.ETH_RPC_URL = node
    settings.TOP_CONTRACT_ADDRESS = chain.deploy([ALICE, BOB])


# --- A node that answers --------------------------------------------------------------------------


@pytest.mark.usefixtures("pool")
def test_members_of_the_pool_are_top_in_any_case() -> None:
    assert [rank_of(ALICE), rank_of(ALICE.lower()), rank_of(BOB)] == [Rank.TOP, Rank.TOP, Rank.TOP]
    assert rank_of(CAROL) is Rank.OUTSIDE


def test_an_empty_pool_has_no_members(chain: Chain, node: str) -> None:
    assert ranking.read_top_set(rpc_url=node, contract=chain.deploy([])) == frozenset()


def test_at_most_a_hundred_members_count(chain: Chain, node: str) -> None:
    contract = chain.deploy([member(number) for number in range(1, 131)])

    top = ranking.read_top_set(rpc_url=node, contract=contract)

    assert top == {member(number) for number in range(1, 101)}


@pytest.mark.usefixtures("pool")
def test_the_set_is_read_once_for_everybody_until_it_is_stale(chain: Chain, settings: Settings) -> None:
    settings.TOP_CACHE_TTL_SECONDS = 300
    before = chain.calls
    asked = []
    for seconds in (0, 299, 300, 301):
        with time_machine.travel(NOON + timedelta(seconds=seconds), tick=False):
            rank_of(ALICE)
        asked.append(chain.calls - before)

    assert asked == [3, 3, 6, 6]


def test_without_a_contract_nobody_asks() -> None:
    assert rank_of(CAROL) is Rank.TOP


@pytest.mark.django_db
@pytest.mark.usefixtures("pool")
def test_registration_admits_the_top_set_only() -> None:
    statuses = [
        post("/api/orchestrators/register", {"orchestrator_id": f"orch-{address}", "address": address}).status
        for address in (ALICE, BOB, CAROL)
    ]

    assert statuses == [200, 200, 403]


@pytest.mark.django_db
def test_the_chain_is_never_read_inside_a_transaction() -> None:
    with pytest.raises(RuntimeError, match="must not hold a transaction"), transaction.atomic():
        rank_of(ALICE)


# --- A node that does not -------------------------------------------------------------------------


@pytest.mark.usefixtures("pool")
def test_a_stale_set_serves_while_the_node_is_dead(settings: Settings) -> None:
    rank_of(ALICE)
    settings.ETH_RPC_URL = "http://127.0.0.1:9"

    with time_machine.travel(NOON + timedelta(days=4000), tick=False):
        assert [rank_of(ALICE), rank_of(CAROL)] == [Rank.TOP, Rank.OUTSIDE]


@pytest.mark.usefixtures("pool")
def test_a_dead_node_is_not_asked_by_every_call(chain: Chain, settings: Settings) -> None:
    rank_of(ALICE)
    asked: list[Any] = []

    def broken(request: dict[str, Any]) -> tuple[int, bytes]:
        asked.append(request)
        return 500, b""

    with json_rpc(broken) as url, time_machine.travel(NOON + timedelta(days=4000), tick=False):
        settings.ETH_RPC_URL = url
        ranks = [rank_of(ALICE) for _ in range(3)]

    assert (ranks, len(asked)) == ([Rank.TOP, Rank.TOP, Rank.TOP], 1)


@pytest.mark.usefixtures("pool")
def test_without_a_stale_set_a_dead_node_leaves_the_rank_unknown(settings: Settings) -> None:
    settings.ETH_RPC_URL = "http://127.0.0.1:9"

    assert rank_of(ALICE) is Rank.UNKNOWN


@pytest.mark.usefixtures("pool")
def test_the_chain_is_read_each_time_while_the_cache_is_down(chain: Chain, settings: Settings) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:9",
        }
    }
    before = chain.calls

    assert [rank_of(ALICE), rank_of(CAROL)] == [Rank.TOP, Rank.OUTSIDE]
    assert chain.calls - before == 6


def result(word: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "result": word}


@pytest.mark.parametrize(
    "lie",
    [
        (200, b"not json"),
        (200, b'"' + 5000 * b"[" + b'"'),
        (200, 100_000 * b"["),
        (302, b""),
        (500, b"{}"),
        {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "execution reverted"}},
        [],
        None,
        "0x",
        result("0x"),
        result(None),
        result(7),
        result("0x" + 63 * "0"),
        result("0x" + 64 * "f"),
        result("0x" + 64 * "g"),
        result("0x" + "-" + 63 * "1"),
        result("0x" + "0_1" + 61 * "0"),
    ],
)
def test_a_node_that_lies_leaves_the_rank_unknown(lie: Any, settings: Settings) -> None:
    settings.TOP_CONTRACT_ADDRESS = CAROL
    with json_rpc(lambda request: lie) as url:
        settings.ETH_RPC_URL = url

        assert rank_of(ALICE) is Rank.UNKNOWN


def test_a_pool_that_runs_in_circles_ends(settings: Settings) -> None:
    circle = {"0x88a6c749": BOB}

    def answer(request: dict[str, Any]) -> Any:
        data = request["params"][0]["data"]
        following = circle.get(data, ALICE if data.endswith(BOB[2:]) else BOB)
        return result("0x" + following[2:].rjust(64, "0"))

    with json_rpc(answer) as url:
        assert ranking.read_top_set(rpc_url=url, contract=CAROL) == {ALICE.lower(), BOB}


def test_a_node_that_dawdles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "READ_BUDGET_SECONDS", -1)
    with json_rpc(lambda request: result("0x" + ALICE[2:].rjust(64, "0"))) as url:  # noqa: SIM117
        with pytest.raises(ranking.ChainUnreadable, match="took too long"):
            ranking.read_top_set(rpc_url=url, contract=CAROL)


@pytest.mark.usefixtures("pool")
def test_a_set_read_long_ago_stays_in_the_cache_without_an_end(valkey_client: redis.Redis) -> None:
    rank_of(ALICE)

    (key,) = valkey_client.scan_iter("*ranking:*")
    assert valkey_client.ttl(key) == -1
