"""What the books are kept about, and the books."""

from billing.models.exports import Export
from billing.models.ledger import Account, Asset, Entry, Kind, Leg
from billing.models.orchestrators import Orchestrator, OrchestratorToken
from billing.models.registry_events import RegistryEvent

__all__ = [
    "Account",
    "Asset",
    "Entry",
    "Export",
    "Kind",
    "Leg",
    "Orchestrator",
    "OrchestratorToken",
    "RegistryEvent",
]
