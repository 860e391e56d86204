"""All routes. API paths are written without a trailing slash and also served with one; nothing redirects."""

from django.contrib import admin
from django.urls import include, path, re_path

from core import api, health

urlpatterns = [
    re_path(r"^health/?$", health.Live.as_view(), name="health"),
    re_path(r"^health/ready/?$", health.Ready.as_view(), name="health-ready"),
    re_path(r"^api/", include("billing.urls")),
    re_path(r"^api/", include("sessions_app.urls")),
    path("admin/", admin.site.urls),
]

handler404 = api.not_found
handler500 = api.server_error
