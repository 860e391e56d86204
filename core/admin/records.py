"""The two kinds of staff page: records that can only be read, and records with verbs."""

from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any, ClassVar

from django.contrib.admin import ShowFacets
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from core.admin import csv, verbs
from core.admin.panels import Panel
from core.admin.verbs import Verb
from core.display import Html
from core.paging import CappedPaginator


class RecordList(ChangeList):  # type: ignore[misc]
    """A list that may leave out rows which are reached by other ways."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        self.root_queryset: QuerySet[Any] = self.model_admin.listed(self.root_queryset)
        rows: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        return rows


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]
    """A list and a page per record; nothing on them can be edited.

    Lists count up to a cap, sort by indexed columns only, and cost the same number of queries whatever
    they show. A list with `csv_columns` can be taken away by those with `csv_permission`.
    """

    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # Counts beside filters would read every row.
    list_per_page = 50
    list_max_show_all = 0
    list_filter_submit = True
    sortable_by: Sequence[str] = ()
    actions: Sequence[str] | None = None
    change_list_template = "admin/record_list.html"
    csv_permission: ClassVar[str] = ""
    csv_columns: ClassVar[Sequence[tuple[str, csv.Exported]]] = ()

    # --- Nothing can be edited --------------------------------------------------------------------

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    # --- The page of a record ---------------------------------------------------------------------

    def panels(self, request: HttpRequest, record: Any) -> list[Panel]:
        """What the page shows below the title, top to bottom."""
        return []

    def headline(self, record: Any) -> Html:
        """Beside the title: what is most worth knowing."""
        return ""

    def buttons(self, request: HttpRequest, record: Any) -> list[tuple[Verb, str]]:
        return []

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        record = self.get_object(request, unquote(object_id))
        if record is None:
            response: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
            return response
        if not self.has_view_permission(request, record):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": str(record),
            "opts": self.opts,
            "original": record,
            "headline": self.headline(record),
            "buttons": self.buttons(request, record),
            "panels": self.panels(request, record),
        }
        return TemplateResponse(request, "admin/record.html", context)

    # --- The list ---------------------------------------------------------------------------------

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[RecordList]:
        return RecordList

    def listed(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The rows that belong into the list, before any filter."""
        return rows

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        # A link cut short by a mail client still shows the list: a page number is all digits.
        extra = {**(extra_context or {}), "csv_url": self._csv_url(request)}
        response: HttpResponse = super().changelist_view(request, extra)
        return response

    def may_export(self, request: HttpRequest) -> bool:
        return bool(self.csv_columns) and request.user.has_perm(self.csv_permission)

    def _csv_url(self, request: HttpRequest) -> str:
        if not self.may_export(request):
            return ""
        query = request.GET.urlencode()
        return f"export.csv?{query}" if query else "export.csv"

    def export_view(self, request: HttpRequest) -> HttpResponse:
        """The list's rows, as filtered, all of them."""
        if not (self.has_view_permission(request) and self.may_export(request)):
            raise PermissionDenied
        rows = self.get_changelist_instance(request).get_queryset(request)
        name = f"{self.opts.verbose_name_plural}-{timezone.now():%Y-%m-%d}.csv".replace(" ", "-")
        return csv.stream(rows, self.csv_columns, filename=name)  # type: ignore[return-value]

    def get_urls(self) -> list[URLPattern]:
        urls: list[URLPattern] = super().get_urls()
        if self.csv_columns:
            urls.insert(0, self.route("export.csv", self.export_view, "export"))
        return urls

    def route(self, pattern: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
        """A page of this model for logged-in staff, named `admin:<app>_<model>_<name>`."""

        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            response: HttpResponse = self.admin_site.admin_view(view)(request, *args, **kwargs)
            return response

        return path(
            pattern,
            update_wrapper(guarded, view),
            name=f"{self.opts.app_label}_{self.opts.model_name}_{name}",
        )


class ServiceAdmin(ReadOnlyAdmin):
    """Records that staff act on, through services only: each verb asks for a reason first."""

    verbs: ClassVar[Sequence[Verb]] = ()

    def buttons(self, request: HttpRequest, record: Any) -> list[tuple[Verb, str]]:
        return [(verb, verbs.url_of(record, verb)) for verb in self.verbs if verb.offered_to(request, record)]

    def get_urls(self) -> list[URLPattern]:
        own = [
            self.route(f"<path:object_id>/{verb.name}/", self._view(verb), verb.name.replace("-", "_"))
            for verb in self.verbs
        ]
        return own + super().get_urls()

    def _view(self, verb: Verb) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            record = self.get_object(request, unquote(object_id))
            if record is None:
                missing: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
                return missing
            if not self.has_view_permission(request, record):
                raise PermissionDenied
            return verbs.perform(request, self, verb, record)

        return view
