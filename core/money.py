"""Exact money: whole wei inside, plain decimal ETH outside. No float ever touches an amount."""

from decimal import Context, Decimal, Inexact
from fractions import Fraction

WEI_PER_ETH = 10**18
MAX_WEI = 2**255 - 1
"""The largest amount: a signed 256-bit integer."""

MS_PER_MINUTE = 60_000

# 78 digits hold every 256-bit amount exactly; the default context would round at 28. What does not fit
# into 120 digits is finer than one wei, and must not be rounded into an amount.
_EXACT = Context(prec=120, traps=[Inexact])


def eth_from_wei(wei: int) -> str:
    """Spell whole wei as ETH: plain notation, no trailing zeros, no minus before zero.

    >>> eth_from_wei(30_910_000_000_000)
    '0.00003091'
    """
    if not wei:
        return "0"
    whole, fraction = divmod(abs(wei), WEI_PER_ETH)
    digits = f"{whole}.{fraction:018d}".rstrip("0").rstrip(".")
    return f"-{digits}" if wei < 0 else digits


def wei_from_eth(eth: Decimal) -> int:
    """Convert an amount in ETH to whole wei.

    :raises ValueError: the amount is finer than one wei or not finite.
    """
    if not eth.is_finite():
        raise ValueError("not a finite amount")
    try:
        wei = _EXACT.multiply(eth, Decimal(WEI_PER_ETH))
    except Inexact:
        raise ValueError("finer than one wei") from None
    whole = int(wei)
    if whole != wei:
        raise ValueError("finer than one wei")
    return whole


def wei_per_minute(eth_per_minute: Decimal) -> Fraction:
    """An exact rate in wei per minute; rates may be finer than one wei and are never rounded."""
    return Fraction(eth_per_minute) * WEI_PER_ETH


def cost_wei(duration_ms: int, *, rate_wei_per_minute: Fraction) -> int:
    """Price a duration, rounding down once, so that nobody is owed wei that nobody earned."""
    return duration_ms * rate_wei_per_minute.numerator // (rate_wei_per_minute.denominator * MS_PER_MINUTE)


def plain(number: Decimal) -> str:
    """Spell an exact decimal (a rate) without exponent and without trailing zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
