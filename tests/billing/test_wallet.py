"""Wallet proof: the contract's vector, and everything that is no signature."""

import pytest
from eth_keys.constants import SECPK1_N
from eth_keys.datatypes import PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from billing.services import wallet

ADDRESS = "0x19E7e376E7C213B7E7e7e46cc70A5dD086DAff2A"
KEY = PrivateKey(b"\x11" * 32)
TEXT = wallet.registration_text(orchestrator_id="orch-a", address=ADDRESS, chain_id=42161)
VECTOR = (
    "0x36de9a0454b4768d2fd3c099e6f0f442117727c5e7e6b889c45bcf079fd563f71f6c2bca657dd33b96e11ac60ea22e0e"
    "b575d43684b15f58b34a9e486c468d2b1b"
)


def test_the_text_is_four_lines_with_the_address_in_lower_case() -> None:
    assert TEXT == (
        "Embody Payments registration v1\n"
        "orchestrator_id: orch-a\n"
        "address: 0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a\n"
        "chain_id: 42161"
    )


def test_the_contracts_vector_is_a_proof_in_any_case_of_the_address() -> None:
    assert wallet.is_signed_by(ADDRESS, text=TEXT, signature=VECTOR)
    assert wallet.is_signed_by(ADDRESS.lower(), text=TEXT, signature=VECTOR.upper().replace("0X", "0x"))


def test_the_recovery_id_may_be_written_0_or_1() -> None:
    assert wallet.is_signed_by(ADDRESS, text=TEXT, signature=VECTOR[:-2] + "00")


def test_the_other_recovery_id_recovers_somebody_else() -> None:
    assert not wallet.is_signed_by(ADDRESS, text=TEXT, signature=VECTOR[:-2] + "1c")


def test_the_mirror_image_of_a_signature_is_refused() -> None:
    raw = bytes.fromhex(VECTOR[2:])
    mirrored = raw[:32] + (SECPK1_N - int.from_bytes(raw[32:64], "big")).to_bytes(32, "big") + b"\x1c"

    assert not wallet.is_signed_by(ADDRESS, text=TEXT, signature=f"0x{mirrored.hex()}")


def test_another_text_is_not_signed() -> None:
    text = wallet.registration_text(orchestrator_id="orch-b", address=ADDRESS, chain_id=42161)

    assert not wallet.is_signed_by(ADDRESS, text=text, signature=VECTOR)


@pytest.mark.parametrize(
    ("r", "s"),
    [
        (0, 1),
        (1, 0),
        (SECPK1_N, 1),
        (1, SECPK1_N),
        (2**256 - 1, 1),
        (1, 2**256 - 1),
        (5, 1),
        (SECPK1_N - 1, 1),
    ],
)
@pytest.mark.parametrize("v", [0, 1, 2, 26, 27, 28, 29, 255])
def test_numbers_outside_the_curve_are_no_signature(r: int, s: int, v: int) -> None:
    signature = f"0x{r:064x}{s:064x}{v:02x}"

    assert not wallet.is_signed_by(ADDRESS, text=TEXT, signature=signature)


@given(st.binary(min_size=65, max_size=65))
def test_random_bytes_are_refused_cleanly(signature: bytes) -> None:
    assert not wallet.is_signed_by(ADDRESS, text=TEXT, signature=f"0x{signature.hex()}")


@given(st.text(max_size=128).filter(lambda text: text.isprintable()))
def test_whoever_holds_the_key_can_prove_any_id(orchestrator_id: str) -> None:
    text = wallet.registration_text(orchestrator_id=orchestrator_id, address=ADDRESS, chain_id=1)
    signed = KEY.sign_msg_hash(wallet._personal_hash(text.encode()))

    assert wallet.is_signed_by(ADDRESS, text=text, signature=signed.to_hex())
