"""Routes of the registry and the ledger, mounted under /api/."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
