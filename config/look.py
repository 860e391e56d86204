"""The admin's own look: name, logo, colours, navigation."""

from collections.abc import Callable

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy

NAME = "Embody Payments"

# Ink: a cool neutral. Teal: the one colour of links, buttons and the logo; shade 600 carries white text.
_INK = {
    "50": "oklch(98.4% .004 205)",
    "100": "oklch(96.3% .006 205)",
    "200": "oklch(91.8% .010 208)",
    "300": "oklch(86.2% .014 210)",
    "400": "oklch(70.2% .022 212)",
    "500": "oklch(55.0% .026 214)",
    "600": "oklch(44.8% .028 216)",
    "700": "oklch(36.4% .030 218)",
    "800": "oklch(27.2% .028 220)",
    "900": "oklch(20.2% .026 222)",
    "950": "oklch(14.2% .022 224)",
}
_TEAL = {
    "50": "oklch(97.6% .020 180)",
    "100": "oklch(94.4% .042 180)",
    "200": "oklch(89.2% .075 181)",
    "300": "oklch(82.6% .105 182)",
    "400": "oklch(75.4% .118 183)",
    "500": "oklch(67.0% .112 185)",
    "600": "oklch(51.6% .092 190)",
    "700": "oklch(45.4% .080 193)",
    "800": "oklch(39.2% .068 196)",
    "900": "oklch(33.6% .056 200)",
    "950": "oklch(24.6% .044 205)",
}


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    """Whether to show a link at all: nobody is offered a page that would refuse them."""
    return lambda request: request.user.has_perm(permission)


def _item(title: str, icon: str, model: str) -> dict[str, object]:
    """A link to the list of a model."""
    app, _, name = model.partition(".")
    link = reverse_lazy(f"admin:{app}_{name}_changelist")
    return {"title": title, "icon": icon, "link": link, "permission": _may(f"{app}.view_{name}")}


NAVIGATION: list[dict[str, object]] = [
    {
        "title": "",
        "items": [{"title": "Overview", "icon": "monitoring", "link": reverse_lazy("admin:index")}],
    },
    {
        "title": "Hosts",
        "items": [
            _item("Orchestrators", "dns", "billing.orchestrator"),
            _item("Tokens", "key", "billing.orchestratortoken"),
            _item("Registry log", "history", "billing.registryevent"),
        ],
    },
    {
        "title": "Sessions",
        "items": [
            _item("Sessions", "stream", "sessions_app.streamsession"),
            _item("Segments", "splitscreen_vertical_add", "sessions_app.segment"),
            _item("Events", "bolt", "sessions_app.sessionevent"),
            _item("Activity leases", "timer", "sessions_app.activitylease"),
        ],
    },
    {
        "title": "Ledger",
        "items": [
            _item("Accounts", "account_balance", "billing.account"),
            _item("Entries", "receipt_long", "billing.entry"),
            _item("Legs", "compare_arrows", "billing.leg"),
            _item("Exports", "file_save", "billing.export"),
        ],
    },
    {
        "title": "Access",
        "items": [
            _item("Staff", "group", "auth.user"),
            _item("Roles", "shield_person", "auth.group"),
            _item("What staff did", "fact_check", "admin.logentry"),
            _item("Failed logins", "gpp_maybe", "axes.accessattempt"),
            _item("Login log", "login", "axes.accesslog"),
        ],
    },
]

UNFOLD: dict[str, object] = {
    "SITE_TITLE": NAME,
    "SITE_HEADER": NAME,
    "SITE_URL": "/",
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda request: static("embody/favicon.svg"),
        }
    ],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "8px",
    "COLORS": {
        "base": _INK,
        "primary": _TEAL,
        "font": {
            "subtle-light": "var(--color-base-500)",
            "subtle-dark": "var(--color-base-400)",
            "default-light": "var(--color-base-600)",
            "default-dark": "var(--color-base-300)",
            "important-light": "var(--color-base-900)",
            "important-dark": "var(--color-base-100)",
        },
    },
    "STYLES": [lambda request: static("embody/embody.css")],
    "SCRIPTS": [lambda request: static("embody/embody.js")],
    "LOGIN": {"image": lambda request: static("embody/login.svg")},
    "SIDEBAR": {"show_search": False, "show_all_applications": False, "navigation": NAVIGATION},
}
