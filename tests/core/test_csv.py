"""Lists as CSV: harmless in a spreadsheet."""

import pytest

from core.admin.csv import harmless


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\n=1", "  =1", "\uff1d1"])
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert harmless(text) == f"'{text}"


def test_numbers_stay_numbers() -> None:
    assert harmless(-5) == -5


def test_nothing_is_an_empty_cell() -> None:
    assert harmless(None) == ""


def test_ordinary_text_is_kept() -> None:
    assert harmless("session:a:1:0") == "session:a:1:0"
