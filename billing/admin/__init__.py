"""Staff pages of hosts and the ledger."""

from billing.admin import ledger, orchestrators, registry, tokens

__all__ = ["ledger", "orchestrators", "registry", "tokens"]
