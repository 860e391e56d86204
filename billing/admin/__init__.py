"""Staff pages of hosts and the ledger."""

from billing.admin import accounts, entries, legs, orchestrators, registry, tokens

__all__ = ["accounts", "entries", "legs", "orchestrators", "registry", "tokens"]
