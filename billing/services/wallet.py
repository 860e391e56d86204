"""Wallet proof: a personal signature shows that the payout address belongs to whoever registers it."""

from eth_hash.auto import keccak
from eth_keys.constants import SECPK1_N
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

_RECOVERY_IDS = {0: 0, 1: 1, 27: 0, 28: 1}


def registration_text(*, orchestrator_id: str, address: str, chain_id: int) -> str:
    """What the wallet signs: four lines, address in lower case, no newline at the end."""
    return (
        "Embody Payments registration v1\n"
        f"orchestrator_id: {orchestrator_id}\n"
        f"address: {address.lower()}\n"
        f"chain_id: {chain_id}"
    )


def is_signed_by(address: str, *, text: str, signature: str) -> bool:
    """Whether `signature` (`0x` and 65 bytes: r, s, v) is the personal signature (EIP-191) of `text`."""
    signer = _recover(_personal_hash(text.encode()), bytes.fromhex(signature.removeprefix("0x")))
    return signer is not None and signer == address.lower()


def _personal_hash(message: bytes) -> bytes:
    return keccak(b"\x19Ethereum Signed Message:\n%d%b" % (len(message), message))


def _recover(digest: bytes, signature: bytes) -> str | None:
    """The lower-case address that signed, or None when these 65 bytes are no signature at all."""
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    recovery_id = _RECOVERY_IDS.get(signature[64])
    # Of each signature and its mirror image (n - s) only the lower one is accepted, as the chain does.
    if recovery_id is None or not (0 < r < SECPK1_N and 0 < s <= SECPK1_N // 2):
        return None
    try:
        signer = Signature(vrs=(recovery_id, r, s)).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError):
        return None
    return signer.to_address()
