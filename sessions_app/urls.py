"""Routes of sessions and activity leases, mounted under /api/."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
