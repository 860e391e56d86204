"""A session drawn to scale: its segments as bars on a line of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from core import display as show
from core.display import Html
from sessions_app.models import Segment, StreamSession

WIDTH = 10_000
"""The line's length in drawing units; whole numbers only, so that every browser draws the same."""


@dataclass(frozen=True, slots=True)
class Bar:
    x: int
    width: int
    look: str
    title: str


@dataclass(frozen=True, slots=True)
class Strip:
    """Bars between a start and an end. SVG attributes carry the sizes, so no inline style is needed."""

    template: ClassVar[str] = "admin/panels/strip.html"
    title: str
    bars: Sequence[Bar]
    start: Html
    end: Html
    width: int = WIDTH


def strip(session: StreamSession, segments: Sequence[Segment]) -> Strip:
    """Draw closed segments, and the open one as the lighter rest."""
    first = segments[0].started_at if segments else session.started_at
    last = max([session.ended_at or session.last_seen_at, *(segment.ended_at for segment in segments)])
    span = max(last - first, timedelta(milliseconds=1))

    def place(instant: datetime) -> int:
        return max(0, min(WIDTH, (instant - first) * WIDTH // span))

    bars = [
        Bar(
            place(segment.started_at),
            max(1, place(segment.ended_at) - place(segment.started_at)),
            "credited" if segment.entry_id else "uncredited",
            f"Segment {segment.segment_index}: {show.duration_text(segment.duration_ms)}, "
            + (f"{show.eth_text(segment.amount_wei)} ETH" if segment.entry_id else "not credited"),
        )
        for segment in segments
    ]
    if session.ended_at is None and session.last_seen_at > session.last_billed_at:
        begin = place(session.last_billed_at)
        bars.append(Bar(begin, max(1, WIDTH - begin), "open", "Open segment, credited when it closes"))
    return Strip("To scale", bars, show.at(first), show.at(last))
