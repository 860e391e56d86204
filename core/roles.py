"""Staff roles are groups, made by migrations: what each app lets them do, said in one place per app.

On a fresh database Django creates permissions only after all migrations, so they are made here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

VIEWER, OPERATOR, APPROVER, AUDITOR = "viewer", "operator", "approver", "auditor"

Grants = Mapping[str, Sequence[str]]
"""Role to permissions, each spelled `<model>.<codename>`."""


def grant(apps: Any, app_label: str, grants: Grants, names: Mapping[str, str]) -> None:
    """Give roles their permissions on one app's models; roles and permissions are made when missing.

    :param names: what each codename means; `view_<model>` explains itself.
    """
    group_model = apps.get_model("auth", "Group")
    permission_model = apps.get_model("auth", "Permission")
    content_type_model = apps.get_model("contenttypes", "ContentType")
    for role, granted in grants.items():
        group, _ = group_model.objects.get_or_create(name=role)
        for spelled in granted:
            model, _, codename = spelled.partition(".")
            content_type, _ = content_type_model.objects.get_or_create(app_label=app_label, model=model)
            permission, _ = permission_model.objects.get_or_create(
                content_type=content_type,
                codename=codename,
                defaults={"name": names.get(codename, f"Can view {model}")},
            )
            group.permissions.add(permission)


def views(*models: str) -> list[str]:
    """The permission to see each of these models."""
    return [f"{model}.view_{model}" for model in models]
