"""Work of the ledger that nobody waits for."""

import structlog
from celery import shared_task

from billing.services import exports, trial_balance

logger = structlog.get_logger(__name__)


@shared_task
def export_logs(**_: object) -> None:
    """Bring the JSONL files up to date. One that cannot be written does not hold up the other."""
    for log in exports.LOGS:
        try:
            exports.run(log)
        except OSError as failure:
            logger.error("export.failed", export=log.name, path=log.path(), reason=str(failure))


@shared_task
def check_ledger(**_: object) -> None:
    """Prove the books, and raise the alarm when they do not hold."""
    findings = trial_balance.check()
    for finding in findings:
        logger.error(
            "ledger.broken", promise=finding.sentence, count=finding.count, cases=list(finding.cases)
        )
    if not findings:
        logger.info("ledger.holds")
