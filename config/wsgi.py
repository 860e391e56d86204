"""The WSGI application: hot paths first, Django for everything else."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

django = get_wsgi_application()

# These import models, so they come after Django's set-up.
from django.conf import settings  # noqa: E402

from core.hotpath import HotPaths  # noqa: E402
from core.mount import Mounted  # noqa: E402
from sessions_app.api.events import event_reported, events_reported  # noqa: E402

application = Mounted(
    HotPaths(
        django,
        {
            "/api/sessions/events": event_reported,
            "/api/sessions/events/batch": events_reported,
        },
    ),
    settings.API_ROOT_PATH,
)
