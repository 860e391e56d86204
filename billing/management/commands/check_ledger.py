"""`manage.py check_ledger`: the trial balance, for people and for cron."""

import sys
from argparse import ArgumentParser
from time import monotonic
from typing import Any

from django.core.management.base import BaseCommand

from billing.services import trial_balance


class Command(BaseCommand):
    help = "Prove that the books hold. Exits with status 1 and lists what is wrong when they do not."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--quiet", action="store_true", help="say something only when something is wrong")

    def handle(self, *args: Any, quiet: bool, **options: Any) -> None:
        started = monotonic()

        def progress(sentence: str) -> None:
            if not quiet:
                self.stdout.write(f"{monotonic() - started:6.1f} s  checking that {sentence}")
                self.stdout.flush()

        findings = trial_balance.check(progress)
        for finding in findings:
            self.stderr.write(self.style.ERROR(f"Not so: {finding.sentence} ({finding.count} cases)"))
            for case in finding.cases:
                self.stderr.write(f"  {case}")
            if finding.count > len(finding.cases):
                self.stderr.write(f"  and {finding.count - len(finding.cases)} more")
        if findings:
            sys.exit(1)
        if not quiet:
            self.stdout.write(self.style.SUCCESS(f"{monotonic() - started:6.1f} s  the books hold"))
