"""The staff pages of hosts and the ledger: what each verb does, what lists cost, what they give away."""

import csv
import io
import re

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.models import Account, Entry, Leg, Orchestrator, OrchestratorToken, RegistryEvent
from billing.services import tokens
from core.paging import COUNT_CAP, CappedPaginator
from tests.factories import OrchestratorFactory
from tests.network import EVIL, adjust, hostile_network, small_network, staff

pytestmark = pytest.mark.django_db
HOST = "/admin/billing/orchestrator"
LISTS = ["orchestrator", "orchestratortoken", "registryevent", "account", "entry", "leg", "export"]


@pytest.fixture
def host() -> Orchestrator:
    return OrchestratorFactory.create(orchestrator_id="orch-a")


def once(client: Client, url: str) -> str:
    """The hidden number of a form, which makes pressing its button twice harmless."""
    found = re.search(r'name="once" value="([0-9a-f-]+)"', client.get(url).content.decode())
    assert found
    return found[1]


# --- Verbs ----------------------------------------------------------------------------------------


def test_a_minted_token_is_shown_once_and_works(host: Orchestrator) -> None:
    answer = staff("operator").post(f"{HOST}/{host.pk}/mint-token/", {"reason": "New machine", "days": "30"})

    found = re.search(r'<code id="secret" class="ep-code">([^<]+)</code>', answer.content.decode())
    assert found
    token = tokens.find(found[1].encode(), now=timezone.now())
    assert token is not None
    assert token.orchestrator == host
    assert token.expires_at is not None
    assert "no-store" in answer.headers["Cache-Control"]
    assert found[1] not in str(list(LogEntry.objects.values()))


def test_a_revoked_token_proves_nothing_any_more(host: Orchestrator) -> None:
    minted = tokens.mint(host, now=timezone.now())
    url = f"/admin/billing/orchestratortoken/{minted.token.pk}/revoke/"

    staff("operator").post(url, {"reason": "Leaked"})

    assert tokens.find(minted.secret.encode(), now=timezone.now()) is None


def test_the_denylist_flag_is_set_and_cleared_with_reason_and_actor(host: Orchestrator) -> None:
    otto = staff("operator")

    otto.post(f"{HOST}/{host.pk}/denylist/", {"reason": "Fraud"})
    assert Orchestrator.objects.get().denylisted
    otto.post(f"{HOST}/{host.pk}/take-off-denylist/", {"reason": "Was a mistake"})
    assert not Orchestrator.objects.get().denylisted

    assert list(RegistryEvent.objects.order_by("id").values_list("event", "details")) == [
        ("denylisted", {"reason": "Fraud", "actor": "operator"}),
        ("denylist_cleared", {"reason": "Was a mistake", "actor": "operator"}),
    ]


def test_a_refusal_is_shown_in_its_own_words(host: Orchestrator) -> None:
    answer = staff("operator").post(f"{HOST}/{host.pk}/take-off-denylist/", {"reason": "x"})

    assert "Not on the denylist" in answer.content.decode()
    assert not LogEntry.objects.exists()


def test_an_adjustment_posts_an_exact_entry_in_the_name_of_who_made_it(host: Orchestrator) -> None:
    anna = staff("approver")
    url = f"{HOST}/{host.pk}/adjust-balance/"

    anna.post(
        url, {"amount_eth": "-0.000000000000000001", "reason": "Dust", "notes": "n", "once": once(anna, url)}
    )

    entry = Entry.objects.get()
    assert (entry.reason, entry.actor, entry.metadata) == ("Dust", "approver", {"notes": "n"})
    assert Account.objects.get(orchestrator=host).balance == -1


def test_pressing_the_button_twice_posts_once(host: Orchestrator) -> None:
    anna = staff("approver")
    url = f"{HOST}/{host.pk}/adjust-balance/"
    form = {"amount_eth": "1", "reason": "Bonus", "once": once(anna, url)}

    anna.post(url, form)
    anna.post(url, form)

    assert Account.objects.get(orchestrator=host).balance == 10**18


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("", "This field is required"),
        ("one", "Enter an amount in ETH"),
        ("0", "must not be zero"),
        ("1e-19", "Enter an amount in ETH"),
        ("1e999999999", "too large"),
        ("-1e60", "too large"),
        ("NaN", "too large"),
        ("1_0\x00", "Null characters are not allowed"),
    ],
)
def test_an_amount_that_cannot_be_is_refused(host: Orchestrator, amount: str, words: str) -> None:
    anna = staff("approver")
    url = f"{HOST}/{host.pk}/adjust-balance/"

    answer = anna.post(url, {"amount_eth": amount, "reason": "x", "once": once(anna, url)})

    assert words in answer.content.decode()
    assert not Entry.objects.exists()


def test_an_entry_is_reversed_once(host: Orchestrator) -> None:
    adjust(host, 5)
    entry = Entry.objects.get()
    anna = staff("approver")
    url = f"/admin/billing/entry/{entry.pk}/reverse/"

    anna.post(url, {"reason": "Entered twice"})
    anna.post(url, {"reason": "Again"})

    mirror = Entry.objects.get(reverses=entry)
    assert (mirror.reason, mirror.actor) == ("Entered twice", "approver")
    assert Account.objects.get(orchestrator=host).balance == 0


def test_a_verb_without_a_reason_does_nothing(host: Orchestrator) -> None:
    answer = staff("operator").post(f"{HOST}/{host.pk}/denylist/", {"reason": "  "})

    assert "This field is required" in answer.content.decode()
    assert not Orchestrator.objects.get().denylisted


def test_asking_changes_nothing(host: Orchestrator) -> None:
    root = staff()

    for verb in ("mint-token", "denylist", "adjust-balance"):
        assert root.get(f"{HOST}/{host.pk}/{verb}/?reason=x").status_code == 200

    assert not OrchestratorToken.objects.exists()
    assert not Entry.objects.exists()
    assert not Orchestrator.objects.get().denylisted


def test_a_form_from_elsewhere_is_refused(host: Orchestrator) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = staff("operator").cookies

    answer = browser.post(f"{HOST}/{host.pk}/denylist/", {"reason": "x"})

    assert answer.status_code == 403
    assert not Orchestrator.objects.get().denylisted


def test_a_deed_is_kept_with_its_reason(host: Orchestrator) -> None:
    staff("operator").post(f"{HOST}/{host.pk}/denylist/", {"reason": "Fraud"})

    deed = LogEntry.objects.get()
    assert (deed.user.get_username(), deed.get_change_message()) == ("operator", "Put on denylist: Fraud")


# --- Records --------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["account", "entry", "leg", "registryevent", "orchestrator"])
def test_a_record_cannot_be_written_deleted_or_added(model: str, host: Orchestrator) -> None:
    adjust(host, 5)
    root = staff()
    row = {"account": Account, "entry": Entry, "leg": Leg, "orchestrator": Orchestrator}.get(model)
    pk = row.objects.first().pk if row else 1  # type: ignore[attr-defined]

    assert root.post(f"/admin/billing/{model}/{pk}/change/", {"reason": "x"}).status_code == 405
    assert root.post(f"/admin/billing/{model}/{pk}/delete/", {"post": "yes"}).status_code in (302, 403)
    assert root.post(f"/admin/billing/{model}/add/", {}).status_code == 403
    assert Orchestrator.objects.filter(pk=host.pk).exists()


def test_a_contra_account_shows_the_sum_of_its_legs(host: Orchestrator) -> None:
    adjust(host, 25 * 10**15)

    assert (
        'title="-25,000,000,000,000,000 wei"'
        in staff("viewer").get("/admin/billing/account/").content.decode()
    )


def test_a_statement_has_a_running_balance(host: Orchestrator) -> None:
    adjust(host, 10**15)
    adjust(host, 2 * 10**15)

    page = staff("viewer").get(f"{HOST}/{host.pk}/change/").content.decode()

    assert page.index("3,000,000,000,000,000 wei") < page.index('title="1,000,000,000,000,000 wei"')


def test_nothing_an_attacker_chose_becomes_markup() -> None:
    host = hostile_network()
    root = staff()
    entry = Entry.objects.latest("pk")
    account = Account.objects.get(orchestrator=host)
    pages = [
        f"{HOST}/",
        f"{HOST}/{host.pk}/change/",
        f"{HOST}/{host.pk}/mint-token/",
        "/admin/billing/entry/",
        f"/admin/billing/entry/{entry.pk}/change/",
        f"/admin/billing/account/{account.pk}/change/",
        "/admin/billing/leg/",
        "/admin/",
    ]

    for url in pages:
        page = root.get(url).content.decode()
        assert "<script>alert(" not in page, url
        assert "&lt;script&gt;" in page or url == "/admin/billing/leg/", url
        assert "\\u003Cscript" in page or "{{ 7|add:1 }}" in page or url == "/admin/billing/leg/", url


# --- Lists ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", LISTS)
def test_a_list_costs_the_same_whatever_it_shows(model: str) -> None:
    root = staff()

    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert root.get(f"/admin/billing/{model}/").status_code == 200
        return len(queries)

    small_network(2)
    cost()
    few = cost()
    small_network_more(10)
    many = cost()

    assert many == few


def small_network_more(hosts: int) -> None:
    for number in range(hosts):
        host = OrchestratorFactory.create(host_public_ip=f"198.51.100.{number}")
        adjust(host, 10**15)
        tokens.mint(host, now=timezone.now())


def test_a_page_number_out_of_range_is_no_error() -> None:
    assert staff().get("/admin/billing/entry/?p=99999").status_code in (200, 302)


def test_rows_are_counted_up_to_a_cap(monkeypatch: pytest.MonkeyPatch, host: Orchestrator) -> None:
    monkeypatch.setattr("core.paging.COUNT_CAP", 3)
    for _ in range(5):
        adjust(host, 1)

    paginator = CappedPaginator(Entry.objects.all(), 2)

    assert (paginator.count, paginator.is_capped, COUNT_CAP) == (3, True, 10_000)


def test_dates_are_drilled_into_from_years_to_days(host: Orchestrator) -> None:
    adjust(host, 5)
    now = timezone.now()
    root = staff()

    url = "/admin/billing/entry/"
    for part in (now.year, now.month, now.day):
        page = root.get(url).content.decode()
        drill = page[page.index('class="ep-drill"') :]
        links = {
            name: link
            for link, name in re.findall(r'href="(\?[^"]+)">([^<]+)<', drill[: drill.index("</nav>")])
        }
        title = now.strftime("%b") if "recorded_at__year" in url and "month" not in url else str(part)
        url = f"/admin/billing/entry/{links[title]}".replace("&amp;", "&")

    assert "1–1 of 1" in root.get(url).content.decode()  # noqa: RUF001


@pytest.mark.parametrize(
    "query",
    [
        "recorded_at__year=abc",
        "recorded_at__year=0&recorded_at__month=13",
        "recorded_at__year=2026&recorded_at__month=2&recorded_at__day=31",
        "orchestrator__id__exact=zzz",
        "kind__exact=nothing",
        "q=%00",
        "p=zzz",
        "nonsense=1",
    ],
)
def test_a_mangled_link_is_no_server_error(query: str, host: Orchestrator) -> None:
    adjust(host, 5)

    assert staff().get(f"/admin/billing/entry/?{query}", follow=True).status_code in (200, 400)


# --- CSV ------------------------------------------------------------------------------------------


def rows(client: Client, url: str) -> list[dict[str, str]]:
    answer = client.get(url)
    assert answer.status_code == 200
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    return list(csv.DictReader(io.StringIO(text)))


def test_entries_are_taken_away_as_filtered() -> None:
    first, _second = small_network(2)
    udo = staff("auditor")

    everything = rows(udo, "/admin/billing/entry/export.csv")
    one_host = rows(udo, f"/admin/billing/entry/export.csv?orchestrator__id__exact={first.pk}")

    assert len(everything) == Entry.objects.count()
    assert {row["orchestrator_id"] for row in one_host} == {first.orchestrator_id}


def test_csv_runs_nothing_in_a_spreadsheet() -> None:
    hostile_network()
    udo = staff("auditor")

    cells = [
        cell
        for model in ("entry", "leg", "account", "registryevent")
        for row in rows(udo, f"/admin/billing/{model}/export.csv")
        for cell in row.values()
    ]

    assert f"'={EVIL}" in cells
    assert not [cell for cell in cells if cell[:1] in "=+@" and cell]


def test_exact_amounts_survive_in_csv(host: Orchestrator) -> None:
    adjust(host, 123_456_789_012_345_678_901)

    legs = rows(staff("auditor"), "/admin/billing/leg/export.csv")

    assert {"123456789012345678901", "-123456789012345678901"} == {row["amount"] for row in legs}
    assert "123.456789012345678901" in {row["amount_eth"] for row in legs}


@pytest.mark.parametrize("role", ["viewer", "operator", "approver"])
def test_csv_is_for_auditors(role: str) -> None:
    client = staff(role)

    assert client.get("/admin/billing/entry/export.csv").status_code == 403
    assert "export.csv" not in client.get("/admin/billing/entry/").content.decode()
