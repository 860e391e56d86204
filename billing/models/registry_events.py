"""The registry's audit trail."""

from django.db import models


class RegistryEvent(models.Model):
    """One thing that happened to an orchestrator's registration. Append-only; exported to `registry.log`."""

    recorded_at = models.DateTimeField()
    event = models.CharField(max_length=64)
    orchestrator_id = models.CharField("orchestrator id", max_length=128, db_index=True)
    details = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.event} {self.orchestrator_id}"
