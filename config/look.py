"""The admin's own look: name, logo, colours, navigation."""

UNFOLD: dict[str, object] = {
    "SITE_TITLE": "Embody Payments",
    "SITE_HEADER": "Embody Payments",
}
