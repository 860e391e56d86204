"""Who may do what: each role on each verb and each page."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from billing.models import Entry
from billing.services import tokens
from tests.factories import LeaseFactory, OrchestratorFactory
from tests.network import adjust, staff

pytestmark = pytest.mark.django_db

ROLES = ["viewer", "operator", "approver", "auditor"]
VERBS = {
    "mint-token": {"operator"},
    "denylist": {"operator"},
    "adjust-balance": {"approver"},
    "reverse": {"approver"},
    "revoke-token": {"operator"},
    "revoke-lease": {"operator"},
}
TITLES = {
    "mint-token": "Mint token",
    "denylist": "Put on denylist",
    "adjust-balance": "Adjust balance",
    "reverse": "Reverse",
    "revoke-token": "Revoke",
    "revoke-lease": "Revoke",
}
PAGES = {
    "/admin/": set(ROLES),
    "/admin/live.json": set(ROLES),
    "/admin/billing/orchestrator/": set(ROLES),
    "/admin/billing/account/": set(ROLES),
    "/admin/billing/entry/": set(ROLES),
    "/admin/billing/leg/": set(ROLES),
    "/admin/billing/registryevent/": set(ROLES),
    "/admin/admin/logentry/": set(ROLES),
    "/admin/billing/orchestratortoken/": {"viewer", "operator", "approver"},
    "/admin/sessions_app/streamsession/": {"viewer", "operator", "approver"},
    "/admin/sessions_app/segment/": {"viewer", "operator", "approver"},
    "/admin/sessions_app/sessionevent/": {"viewer", "operator", "approver"},
    "/admin/sessions_app/activitylease/": {"viewer", "operator", "approver"},
    "/admin/auth/user/": set(),
    "/admin/auth/group/": set(),
    "/admin/axes/accessattempt/": set(),
}


def record_of(verb: str) -> tuple[str, str]:
    """The page of a record that the verb applies to, and the verb's own."""
    host = OrchestratorFactory.create()
    if verb == "reverse":
        adjust(host, 5)
        page = f"/admin/billing/entry/{Entry.objects.get().pk}"
    elif verb == "revoke-token":
        token = tokens.mint(host, now=timezone.now()).token
        page = f"/admin/billing/orchestratortoken/{token.pk}"
    elif verb == "revoke-lease":
        lease = LeaseFactory.create(orchestrator=host)
        page = f"/admin/sessions_app/activitylease/{lease.pk}"
    else:
        page = f"/admin/billing/orchestrator/{host.pk}"
    return f"{page}/change/", f"{page}/{verb.removesuffix('-token') if verb.startswith('revoke') else verb}/"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_offered_to_its_roles_and_refused_to_others(role: str, verb: str) -> None:
    page, url = record_of(verb)
    url = url.replace("revoke-lease", "revoke")
    client = staff(role)
    allowed = role in VERBS[verb]

    assert client.get(url).status_code == (200 if allowed else 403)
    assert client.post(url, {"reason": ""}).status_code == (200 if allowed else 403)
    answer = client.get(page)
    if answer.status_code == 200:
        assert (f'href="{url}"' in answer.content.decode()) is allowed


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_for_its_roles_only(role: str, page: str) -> None:
    client = staff(role)
    allowed = role in PAGES[page]

    assert client.get(page).status_code == (200 if allowed else 403)
    in_sidebar = f'href="{page}"' in client.get("/admin/").content.decode()
    assert not in_sidebar or allowed, "nobody is offered a page that would refuse them"


@pytest.mark.parametrize(
    "page", [*PAGES, "/admin/billing/entry/export.csv", "/admin/billing/orchestrator/1/denylist/"]
)
def test_every_staff_page_asks_who_you_are(page: str) -> None:
    answer = Client().get(page)

    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/admin/login/")


def test_a_login_that_is_not_staff_sees_nothing(django_user_model: type) -> None:
    client = Client()
    client.force_login(django_user_model.objects.create_user("guest"))  # type: ignore[attr-defined]

    assert client.get("/admin/billing/entry/").status_code == 302


def test_staff_without_a_role_see_an_empty_overview(django_user_model: type) -> None:
    OrchestratorFactory.create()
    client = Client()
    client.force_login(django_user_model.objects.create_user("new", is_staff=True))  # type: ignore[attr-defined]

    assert client.get("/admin/live.json").json() == {}
    assert client.get("/admin/").status_code == 200


def test_roles_exist_on_a_fresh_database() -> None:
    assert set(ROLES) <= set(Group.objects.values_list("name", flat=True))


def test_a_viewer_has_only_the_right_to_see() -> None:
    granted = Group.objects.get(name="viewer").permissions.values_list("codename", flat=True)

    assert granted
    assert all(codename.startswith("view_") for codename in granted)
