"""How values look on staff pages. Everything that came from outside is escaped here, once.

Money is shown in ETH with the exact wei on hover, instants relative with the exact UTC on hover.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlencode

from django.db.models import Model
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core.money import WEI_PER_ETH, eth_from_wei

Html = SafeString | str
Tone = Literal["good", "warn", "bad", "info", "calm"]

NOTHING = format_html('<span class="ep-none" title="{}">&ndash;</span>', "not set")
_SHOWN_DECIMALS = 8


def eth_text(wei: int, *, decimals: int = _SHOWN_DECIMALS) -> str:
    """An amount short enough for a column: at most eight decimals, cut towards zero."""
    cut = WEI_PER_ETH // 10**decimals
    shown = abs(wei) // cut * cut
    if wei and not shown:
        smallest = eth_from_wei(cut)
        return f"<{smallest}" if wei > 0 else f">-{smallest}"
    whole, _, fraction = eth_from_wei(shown).partition(".")
    digits = f"{int(whole):,}.{fraction}" if fraction else f"{int(whole):,}"
    return f"\N{MINUS SIGN}{digits}" if wei < 0 else digits


def headline_text(wei: int) -> str:
    """An amount to be read at a glance: four decimals once it is a whole ETH or more."""
    return eth_text(wei, decimals=4 if abs(wei) >= WEI_PER_ETH else _SHOWN_DECIMALS)


def _eth_span(wei: int, text: str, tone: str) -> SafeString:
    return format_html(
        '<span class="ep-eth {}" title="{} wei">{} <small>ETH</small></span>', tone, f"{wei:,}", text
    )


def eth(wei: int | None) -> SafeString:
    """An amount in ETH, with the exact wei on hover."""
    if wei is None:
        return NOTHING
    return _eth_span(wei, eth_text(wei), "ep-minus" if wei < 0 else "")


def headline_eth(wei: int) -> SafeString:
    """An amount in ETH among the figures of a page, with the exact wei on hover."""
    return _eth_span(wei, headline_text(wei), "ep-minus" if wei < 0 else "")


def moved_eth(wei: int) -> SafeString:
    """An amount that moved: with its sign, green when it came and red when it went."""
    text = f"+{eth_text(wei)}" if wei > 0 else eth_text(wei)
    return _eth_span(wei, text, "ep-plus" if wei > 0 else "ep-minus")


def amount(value: int | None, asset: str) -> SafeString:
    """A balance of any asset; ETH is held in wei, the others are whole numbers as they are."""
    if value is None:
        return NOTHING
    return eth(value) if asset == "ETH" else _units(f"{value:,}", asset)


def mirrored(value: int, asset: str) -> SafeString:
    """A balance of the platform's side, where negative is as good as positive."""
    return _eth_span(value, eth_text(value), "") if asset == "ETH" else _units(f"{value:,}", asset)


def moved(value: int, asset: str) -> SafeString:
    """An amount of any asset that moved, with its sign."""
    return moved_eth(value) if asset == "ETH" else _units(f"{value:+,}", asset)


def _units(text: str, asset: str) -> SafeString:
    return format_html('<span class="ep-eth">{} <small>{}</small></span>', text, asset)


_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def relative(instant: datetime, *, now: datetime) -> str:
    """`5 min ago`, `in 2 h`, `just now`."""
    seconds = int((now - instant).total_seconds())
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            count = abs(seconds) // size
            return f"{count} {unit} ago" if seconds > 0 else f"in {count} {unit}"
    return "just now"


def when(instant: datetime | None) -> SafeString:
    """A relative time, with the exact UTC on hover."""
    if instant is None:
        return NOTHING
    return format_html(
        '<time datetime="{}" title="{}" data-relative>{}</time>',
        instant.isoformat(),
        exact(instant),
        relative(instant, now=timezone.now()),
    )


def exact(instant: datetime) -> str:
    """`2026-11-20 11:57:55.879061 UTC`, the fraction left out when it is zero."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(" ") + " UTC"


def at(instant: datetime | None) -> SafeString:
    """An absolute time to the second, with the fraction on hover."""
    if instant is None:
        return NOTHING
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        instant.isoformat(),
        exact(instant),
        instant.strftime("%Y-%m-%d %H:%M:%S"),
    )


def duration(milliseconds: int) -> SafeString:
    """`1 h 05 min`, `40 min 00 s`, `3.091 s`, with the exact milliseconds on hover."""
    return format_html('<span title="{} ms">{}</span>', f"{milliseconds:,}", duration_text(milliseconds))


def duration_text(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    if seconds < 60:
        return f"{seconds}.{rest:03d}".rstrip("0").rstrip(".") + " s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24:02d} h"


def badge(text: str, tone: Tone = "calm", *, title: str = "") -> SafeString:
    return format_html('<span class="ep-badge ep-{}" title="{}">{}</span>', tone, title, text)


def code(text: str | None) -> SafeString:
    """An identifier: monospaced, breakable."""
    return format_html('<code class="ep-code">{}</code>', text) if text else NOTHING


def copyable(text: str | None, *, shown: str | None = None, what: str = "value") -> SafeString:
    """An identifier with a button that copies all of it."""
    if not text:
        return NOTHING
    return format_html(
        '<span class="ep-copyable"><code class="ep-code" title="{}">{}</code>'
        '<button type="button" class="ep-copy" data-copy="{}" aria-label="Copy {}" title="Copy {}">'
        '<span class="material-symbols-outlined" aria-hidden="true">content_copy</span></button></span>',
        text,
        text if shown is None else shown,
        text,
        what,
        what,
    )


def address(wallet: str) -> SafeString:
    """A wallet as `0x1234…abcd`, all of it on hover and to copy."""
    return copyable(wallet, shown=f"{wallet[:6]}…{wallet[-4:]}", what="address")


def digest(text: str | None) -> SafeString:
    """A `sha256:` digest, shortened."""
    if not text:
        return NOTHING
    return copyable(text, shown=f"{text.removeprefix('sha256:')[:10]}…", what="proof hash")


def page_of(record: Model) -> str:
    """Where a record's staff page is."""
    meta = record._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[record.pk])


def list_of(model: type[Model], **filters: object) -> str:
    """Where the list of a model is, narrowed by filters."""
    meta = model._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
    query = urlencode({name: value for name, value in filters.items() if value is not None})
    return f"{url}?{query}" if query else url


def link(record: Model | None, text: object = None) -> SafeString:
    """A link to a record's staff page."""
    if record is None:
        return NOTHING
    return format_html(
        '<a class="ep-link" href="{}">{}</a>', page_of(record), str(record) if text is None else text
    )


def words(name: str) -> str:
    """A key of some JSON as a person would say it: `segment_start` is "Segment start"."""
    spoken = name.removesuffix("_ms").replace("_", " ").strip() + (" (ms)" if name.endswith("_ms") else "")
    if not name.islower():
        return spoken
    spoken = spoken.capitalize()
    for given, right in _ACRONYMS.items():
        spoken = spoken.replace(given, right)
    return spoken


_ACRONYMS = {"Ip": "IP", "ip address": "IP address", "Url": "URL"}


def reason(text: str) -> Html:
    """A reason: the wire's own words spelled out, free text as it was written."""
    if not text:
        return NOTHING
    return words(text) if "_" in text and text.islower() and " " not in text else text


def yes_no(value: Any) -> Any:
    """Truth in words; everything else as it is."""
    return ("yes" if value else "no") if isinstance(value, bool) else value


def plain(value: Any) -> Html:
    """Any JSON value, without quotes, braces or `None`."""
    if value is None or value in ("", [], {}):
        return NOTHING
    if isinstance(value, bool):
        return str(yes_no(value))
    if isinstance(value, Mapping):
        return definitions(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = format_html_join("", "<li>{}</li>", ((plain(item),) for item in value))
        return format_html('<ul class="ep-list">{}</ul>', items)
    return code(str(value))


def definitions(data: Mapping[str, Any]) -> SafeString:
    """JSON as a definition table."""
    rows = format_html_join(
        "",
        "<div><dt>{}</dt><dd>{}</dd></div>",
        ((words(str(key)), plain(value)) for key, value in data.items()),
    )
    return format_html('<dl class="ep-facts ep-nested">{}</dl>', rows)
