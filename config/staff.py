"""Who may log in, and who did what: pages of Django's own and of the login guard, in our look."""

from collections.abc import Sequence
from typing import Any

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from core import display as show
from core.admin import ReadOnlyAdmin
from core.admin.panels import Facts, Panel
from core.display import Html

for replaced in (User, Group, AccessAttempt, AccessLog, AccessFailureLog):
    if admin.site.is_registered(replaced):
        admin.site.unregister(replaced)


@admin.register(User)
class StaffAdmin(UserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "last_login")
    autocomplete_fields = ("groups",)
    filter_horizontal = ()
    # What people may do comes from their roles; permissions of one's own would be overlooked.
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    list_filter_submit = True


@admin.register(Group)
class RoleAdmin(GroupAdmin, ModelAdmin):  # type: ignore[misc]
    """What a role may do."""


class _Login(ReadOnlyAdmin):
    """One login, or an attempt at it."""

    list_display: Sequence[str] = ("username", "ip_address", "agent", "when")
    search_fields = ("username__exact", "ip_address__exact")
    search_help_text = "Name or IP address"
    ordering = ("-id",)

    @admin.display(description="browser")
    def agent(self, attempt: Any) -> Html:
        return attempt.user_agent[:60] or show.NOTHING

    @admin.display(description="when")
    def when(self, attempt: Any) -> SafeString:
        return show.when(attempt.attempt_time)

    def panels(self, request: HttpRequest, record: Any) -> list[Panel]:
        facts: list[tuple[str, Html]] = [
            ("Name", record.username or show.NOTHING),
            ("IP address", show.code(record.ip_address)),
            ("Browser", record.user_agent or show.NOTHING),
            ("Path", show.code(record.path_info)),
            ("When", show.at(record.attempt_time)),
        ]
        if hasattr(record, "logout_time"):
            facts.append(("Logged out", show.at(record.logout_time)))
        if hasattr(record, "failures_since_start"):
            facts.append(("Failures", f"{record.failures_since_start:,}"))
        return [Facts("Login", facts, wide=True)]


@admin.register(AccessLog)
class LoginAdmin(_Login):
    """Logins that succeeded."""


@admin.register(AccessFailureLog)
class FailureLogAdmin(_Login):
    """Logins that failed, each on its own."""


@admin.register(AccessAttempt)
class AttemptAdmin(_Login):
    """Failed logins that still count against a caller. Deleting one lets the caller try again."""

    list_display = ("username", "ip_address", "failures", "agent", "when")
    actions = ("delete_selected",)

    @admin.display(description="failures")
    def failures(self, attempt: AccessAttempt) -> Html:
        return f"{attempt.failures_since_start:,}"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("axes.delete_accessattempt"))


@admin.register(LogEntry)
class DeedAdmin(ReadOnlyAdmin):
    """What staff did, each with its reason."""

    list_display = ("deed", "user", "on", "when")
    list_select_related = ("user", "content_type")
    search_fields = ("user__username__exact", "object_id__exact")
    search_help_text = "Staff name"
    ordering = ("-id",)

    @admin.display(description="what")
    def deed(self, entry: LogEntry) -> Html:
        return entry.get_change_message() or entry.get_action_flag_display()

    @admin.display(description="on")
    def on(self, entry: LogEntry) -> Html:
        return f"{entry.content_type.name if entry.content_type else ''} {entry.object_repr}".strip()

    @admin.display(description="when")
    def when(self, entry: LogEntry) -> SafeString:
        return show.when(entry.action_time)

    def panels(self, request: HttpRequest, record: LogEntry) -> list[Panel]:
        return [
            Facts(
                "Deed",
                [
                    ("What", self.deed(record)),
                    ("On", self.on(record)),
                    ("By", record.user.get_username()),
                    ("When", show.at(record.action_time)),
                ],
                wide=True,
            )
        ]
