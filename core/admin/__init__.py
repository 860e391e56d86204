"""What every staff page is built from: read-only records, verbs that ask for a reason, exact money."""

from core import display
from core.admin.records import ReadOnlyAdmin, ServiceAdmin
from core.admin.verbs import Done, ReasonForm, Verb
from core.display import eth

__all__ = ["Done", "ReadOnlyAdmin", "ReasonForm", "ServiceAdmin", "Verb", "display", "eth"]
