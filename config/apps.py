"""Makes our staff site the default admin site."""

from importlib import import_module

from django.contrib.admin.apps import AdminConfig


class StaffAdminConfig(AdminConfig):
    default_site = "config.admin_site.StaffAdminSite"

    def ready(self) -> None:
        super().ready()
        # Replaces pages that other apps registered just now, so it comes after them.
        import_module("config.staff")
