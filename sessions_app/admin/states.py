"""How the states of sessions and segments look."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.safestring import SafeString

from core import display as show
from sessions_app.models import Segment, StreamSession

UNCREDITED = {
    "unattributed": "No host was known for it",
    "denylisted": "The host is denylisted",
    "no_rate": "No rate is set",
    "below_one_wei": "It earned less than one wei",
    "gate": "The credit gate refused it",
}


def state(session: StreamSession) -> SafeString:
    """Ended, live, or silent: open, but not heard of within the idle timeout."""
    if session.ended_at:
        return show.badge("ended", title=show.exact(session.ended_at))
    idle = timedelta(seconds=settings.SESSION_IDLE_TIMEOUT_SECONDS)
    if session.last_seen_at >= timezone.now() - idle:
        return show.badge("live", "good", title=f"Last event {show.exact(session.last_seen_at)}")
    return show.badge(
        "silent", "warn", title=f"Open, but not heard of since {show.exact(session.last_seen_at)}"
    )


def credit(segment: Segment) -> SafeString:
    """What a segment earned, or why it did not."""
    if segment.entry_id:
        return show.link(segment.entry, show.eth(segment.amount_wei))
    reason = segment.uncredited_reason
    return show.badge("not credited", "warn", title=UNCREDITED.get(reason, show.words(reason)))
