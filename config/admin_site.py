"""The staff site: Django's admin, with our dashboard as its first page."""

from unfold.sites import UnfoldAdminSite


class StaffAdminSite(UnfoldAdminSite):
    """Embody Payments for staff."""
