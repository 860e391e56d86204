"""Cursors: opaque, bound to their list, impossible to make up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.pages import InvalidCursor, decode, encode, page

FILTERS = {"list": "things", "owner": "a", "kind": None}


def test_a_cursor_leads_back_to_its_key() -> None:
    assert decode(encode(["2026", 7], FILTERS), FILTERS) == ["2026", 7]


def test_the_first_page_needs_no_cursor() -> None:
    assert decode(None, FILTERS) is None


@pytest.mark.parametrize(
    "filters", [{"list": "things"}, {"list": "things", "owner": "b"}, {**FILTERS, "kind": "x"}, {}]
)
def test_a_cursor_of_other_filters_is_refused(filters: dict[str, object]) -> None:
    with pytest.raises(InvalidCursor):
        decode(encode([1], FILTERS), filters)


def test_a_filter_that_is_absent_equals_none() -> None:
    assert decode(encode([1], FILTERS), {"list": "things", "owner": "a"}) == [1]


@given(st.text())
def test_a_made_up_cursor_is_refused_cleanly(text: str) -> None:
    with pytest.raises(InvalidCursor):
        decode(text, FILTERS)


def test_a_changed_cursor_is_refused() -> None:
    cursor = encode([1], FILTERS)

    with pytest.raises(InvalidCursor):
        decode(cursor[:-1] + ("a" if cursor[-1] != "a" else "b"), FILTERS)


def test_a_page_is_cut_where_one_row_too_many_was_fetched() -> None:
    shown, cursor = page([1, 2, 3], limit=2, key=lambda row: [row], filters=FILTERS)

    assert list(shown) == [1, 2]
    assert decode(cursor, FILTERS) == [2]
    assert page([1, 2], limit=2, key=lambda row: [row], filters=FILTERS) == ([1, 2], None)
    assert page([1, 2], limit=None, key=lambda row: [row], filters=FILTERS) == ([1, 2], None)
