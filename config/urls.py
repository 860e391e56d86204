"""All routes. API paths are written without a trailing slash; `core.middleware` serves them with one too."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView, TemplateView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from core import api, health

urlpatterns = [
    path("", TemplateView.as_view(template_name="embody/landing.html"), name="landing"),
    path("health", health.Live.as_view(), name="health"),
    path("health/ready", health.Ready.as_view(), name="health-ready"),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("api/", include("billing.urls")),
    path("api/", include("sessions_app.urls")),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
]

handler400 = api.bad_request
handler404 = api.not_found
handler500 = api.server_error
