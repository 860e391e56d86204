"""Registers the orchestrators that the configuration names."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from billing.services import bootstrap


class Command(BaseCommand):
    help = "Register the orchestrators of PAYMENTS_BOOTSTRAP_ORCHESTRATORS, its file, and single mode."

    def handle(self, *args: Any, **options: Any) -> None:
        registered = bootstrap.run(now=timezone.now())
        if registered:
            self.stdout.write(f"Registered {registered} orchestrator(s) from the configuration.")
