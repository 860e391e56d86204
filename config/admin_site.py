"""The staff site: Django's admin, with our dashboard as its first page."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from unfold.sites import UnfoldAdminSite

from config import dashboard


class StaffAdminSite(UnfoldAdminSite):  # type: ignore[misc]
    """Embody Payments for staff."""

    index_title = "Overview"
    enable_nav_sidebar = True

    def extra_urls(self) -> list[URLPattern]:
        return [path("live.json", self.admin_view(self.live), name="live")]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The dashboard; on a new installation, how to begin."""
        request.current_app = self.name
        context = {
            **self.each_context(request),
            "title": self.index_title,
            **dashboard.page(request, now=timezone.now()),
        }
        return TemplateResponse(request, "admin/dashboard.html", context)

    def live(self, request: HttpRequest) -> HttpResponse:
        """The dashboard's numbers, for its own script."""
        response = JsonResponse(dashboard.live_numbers(request, now=timezone.now()))
        response.headers["Cache-Control"] = "no-store"
        return response
