"""Makes our staff site the default admin site."""

from django.contrib.admin.apps import AdminConfig


class StaffAdminConfig(AdminConfig):
    default_site = "config.admin_site.StaffAdminSite"
