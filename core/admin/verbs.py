"""Verbs on staff pages: a permission, a form that asks for a reason, one service call, the actor recorded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminTextInputWidget

from core.display import page_of
from core.errors import DomainError

if TYPE_CHECKING:
    from core.admin.records import ServiceAdmin


class ReasonForm(forms.Form):
    """Why somebody does what they do; kept with the deed."""

    required_css_class = "required"

    reason = forms.CharField(
        max_length=256,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text="Kept in the audit trail, beside your name.",
    )


@dataclass(frozen=True, slots=True)
class Done:
    """What a verb did. A `secret` is shown once, on the page that answers, and nowhere else."""

    message: str
    secret: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Verb:
    """Something that staff with a permission may do to a record.

    `run` gets the record, the form's answers and who acts; it calls the service that the API calls, within
    one transaction. A refusal of the service is shown in its own words.
    """

    name: str
    title: str
    icon: str
    permission: str
    run: Callable[[Any, Mapping[str, Any], str], Done]
    explain: Callable[[Any], str]
    form: type[ReasonForm] = ReasonForm
    available: Callable[[Any], bool] = field(default=lambda record: True)
    danger: bool = False

    def offered_to(self, request: HttpRequest, record: Model) -> bool:
        return self.permitted(request) and self.available(record)

    def permitted(self, request: HttpRequest) -> bool:
        return request.user.has_perm(self.permission)


def perform(request: HttpRequest, page: "ServiceAdmin", verb: Verb, record: Model) -> HttpResponse:
    """Ask, then act once. A GET never changes anything."""
    if not verb.permitted(request):
        raise PermissionDenied
    form = verb.form(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        actor = request.user.get_username()
        try:
            with transaction.atomic(durable=True):
                done = verb.run(record, form.cleaned_data, actor)
                reason = form.cleaned_data["reason"]
                page.log_change(request, record, f"{verb.title}: {reason}")
        except DomainError as refusal:
            form.add_error(None, refusal.detail)
        else:
            return _answer(request, page, verb, record, done)
    return _page(request, page, verb, record, {"form": form})


def _answer(
    request: HttpRequest, page: "ServiceAdmin", verb: Verb, record: Model, done: Done
) -> HttpResponse:
    if not done.secret:
        messages.success(request, done.message)
        return HttpResponseRedirect(page_of(record))
    response = _page(request, page, verb, record, {"done": done})
    # The one time a secret is on a page, no cache may keep it.
    response.headers["Cache-Control"] = "no-store"
    return response


def _page(
    request: HttpRequest, page: "ServiceAdmin", verb: Verb, record: Model, extra: dict[str, Any]
) -> HttpResponse:
    context = {
        **page.admin_site.each_context(request),
        "title": f"{verb.title}: {record}",
        "opts": page.opts,
        "original": record,
        "verb": verb,
        "explanation": verb.explain(record),
        "back": page_of(record),
        **extra,
    }
    return TemplateResponse(request, "admin/verb.html", context)


def url_of(record: Model, verb: Verb) -> str:
    meta = record._meta
    return reverse(
        f"admin:{meta.app_label}_{meta.model_name}_{verb.name.replace('-', '_')}", args=[record.pk]
    )
