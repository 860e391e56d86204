"""What staff roles may do with sessions."""

from django.db import migrations

from core.roles import APPROVER, OPERATOR, VIEWER, grant, views

NAMES = {"revoke_lease": "Can revoke activity leases"}
EVERYTHING = views("streamsession", "segment", "sessionevent", "activitylease")
GRANTS = {
    VIEWER: EVERYTHING,
    OPERATOR: [*EVERYTHING, "activitylease.revoke_lease"],
    APPROVER: EVERYTHING,
}


def extend_roles(apps, schema_editor):
    grant(apps, "sessions_app", GRANTS, NAMES)


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0001_initial"), ("billing", "0004_staff_roles")]

    operations = [
        migrations.AlterModelOptions(
            name="activitylease",
            options={
                "ordering": ["-last_seen_at", "-id"],
                "permissions": [("revoke_lease", "Can revoke activity leases")],
            },
        ),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
