"""Creates the first staff account, when there is none."""

import os
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError, transaction


class Command(BaseCommand):
    help = "Create a superuser from DJANGO_SUPERUSER_USERNAME and _PASSWORD, if no superuser exists."

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model().objects
        if users.filter(is_superuser=True).exists():
            self.stdout.write("A superuser exists already; nothing to do.")
            return
        username = os.environ.get("DJANGO_SUPERUSER_USERNAME", "").strip() or "admin"
        password = os.environ.get("DJANGO_SUPERUSER_PASSWORD", "").strip()
        if not password:
            raise CommandError(
                "Set DJANGO_SUPERUSER_PASSWORD, so that the first staff account can be created."
            )
        try:
            with transaction.atomic(durable=True):
                users.create_superuser(username=username, password=password)
        except IntegrityError:
            # Either another machine that starts on the same database was faster, or the name is taken.
            if users.filter(username=username, is_superuser=True).exists():
                self.stdout.write(f"Superuser {username} was created meanwhile; nothing to do.")
                return
            raise CommandError(f"{username} exists, but is no superuser; choose another name.") from None
        self.stdout.write(f"Created superuser {username}.")
