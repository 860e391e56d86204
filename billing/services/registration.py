"""What an orchestrator says about itself when it registers, validated."""

from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from core.wire import BlankIsAbsent, Clean, Identifier, Input, Text, WalletAddress, ip_literal

MAX_MONITORED_SERVICES = 25


def _has_inner_at(text: str) -> str:
    if "@" not in text[1:-1]:
        raise ValueError("contact_email must include '@'")
    return text


def _is_http_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme.lower() in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(letter.isspace() or not letter.isprintable() for letter in text):
        raise ValueError("health_url must be an http(s) URL")
    return text


def _named_services(names: list[str]) -> list[str] | None:
    named = [name.strip() for name in names if name.strip()]
    if len(named) > MAX_MONITORED_SERVICES:
        raise ValueError(f"monitored_services limit is {MAX_MONITORED_SERVICES} entries")
    return named or None


Short = Annotated[str, StringConstraints(max_length=128), Clean]
Email = Annotated[str, StringConstraints(max_length=255), Clean, AfterValidator(_has_inner_at)]
HostIp = Annotated[str, StringConstraints(max_length=64), Clean, ip_literal("host_public_ip")]
HealthUrl = Annotated[str, StringConstraints(max_length=512), Clean, AfterValidator(_is_http_url)]
Seconds = Annotated[float, Field(ge=0.1, le=60, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Signature = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{130}$")]

KEPT = (
    "capability",
    "contact_email",
    "host_public_ip",
    "host_name",
    "health_url",
    "health_timeout",
    "monitored_services",
    "min_service_uptime",
)
"""Fields that a later registration replaces when it sends them, and keeps when it does not."""


class Registration(Input):
    """A registration request. Optional fields that are absent or blank keep what is stored."""

    orchestrator_id: Identifier
    address: WalletAddress = Field(description="Payout address; unique without regard to case")
    capability: Annotated[Short | None, BlankIsAbsent] = None
    contact_email: Annotated[Email | None, BlankIsAbsent] = None
    host_public_ip: Annotated[HostIp | None, BlankIsAbsent] = None
    host_name: Annotated[Short | None, BlankIsAbsent] = None
    services_healthy: bool | None = None
    health_url: Annotated[HealthUrl | None, BlankIsAbsent] = None
    health_timeout: Seconds | None = None
    monitored_services: Annotated[
        list[Text] | None, AfterValidator(lambda names: names and _named_services(names))
    ] = None
    min_service_uptime: Percent | None = None
    signature: Annotated[Signature | None, BlankIsAbsent] = Field(
        None, description="EIP-191 personal signature by `address` over the registration text"
    )

    def sent(self) -> Iterator[tuple[str, Any]]:
        """The kept fields that this registration has a value for."""
        return ((name, getattr(self, name)) for name in KEPT if getattr(self, name) is not None)
