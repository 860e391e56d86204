"""The refusals: errors that a caller can cause and is told about."""

from typing import Any, ClassVar


class DomainError(Exception):
    """An anticipated refusal. Subclasses live beside the function that raises them.

    `code` is stable for programs, `status` is the HTTP status and `detail` the text that a caller reads.
    """

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 400
    detail: str = "Refused"

    def __init__(self, detail: str | None = None) -> None:
        if detail is not None:
            self.detail = detail
        super().__init__(self.detail)


class Invalid(DomainError):
    """Input that breaks its schema or a domain rule; carries one problem per broken field."""

    code, status = "invalid", 422

    def __init__(self, problems: list[dict[str, Any]]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{problem['loc']}: {problem['msg']}" for problem in problems))


class PayloadTooLarge(DomainError):
    code, status, detail = "payload_too_large", 413, "Payload too large"


class RateLimited(DomainError):
    code, status, detail = "rate_limited", 429, "Rate limited"


class RecordedRefusal(DomainError):
    """A refusal that leaves a record: `core.doorway` keeps what was written before it rose."""
