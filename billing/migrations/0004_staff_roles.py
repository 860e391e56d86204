"""Staff roles, and what they may do with hosts and the books."""

from django.db import migrations

from core.roles import APPROVER, AUDITOR, OPERATOR, VIEWER, grant, views

NAMES = {
    "denylist_orchestrator": "Can put orchestrators on the denylist and take them off",
    "adjust_balance": "Can adjust what orchestrators are owed",
    "mint_token": "Can mint tokens of orchestrators",
    "revoke_token": "Can revoke tokens of orchestrators",
    "reverse_entry": "Can reverse entries",
    "export_ledger": "Can take the books away as CSV",
    "view_logentry": "Can view log entry",
}
BOOKS = views("orchestrator", "account", "entry", "leg", "registryevent", "export")
EVERYTHING = [*BOOKS, *views("orchestratortoken")]
GRANTS = {
    VIEWER: EVERYTHING,
    OPERATOR: [
        *EVERYTHING,
        "orchestratortoken.mint_token",
        "orchestratortoken.revoke_token",
        "orchestrator.denylist_orchestrator",
    ],
    APPROVER: [*EVERYTHING, "orchestrator.adjust_balance", "entry.reverse_entry"],
    AUDITOR: [*BOOKS, "entry.export_ledger"],
}
WHO_DID_WHAT = {role: ["logentry.view_logentry"] for role in GRANTS}


def create_roles(apps, schema_editor):
    grant(apps, "billing", GRANTS, NAMES)
    grant(apps, "admin", WHO_DID_WHAT, NAMES)


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0003_ledger_reads"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("admin", "0003_logentry_add_action_flag_choices"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="orchestrator",
            options={
                "ordering": ["pk"],
                "permissions": [
                    ("denylist_orchestrator", "Can put orchestrators on the denylist and take them off"),
                    ("adjust_balance", "Can adjust what orchestrators are owed"),
                ],
            },
        ),
        migrations.AlterModelOptions(
            name="orchestratortoken",
            options={
                "ordering": ["-created_at", "-id"],
                "verbose_name": "token",
                "permissions": [
                    ("mint_token", "Can mint tokens of orchestrators"),
                    ("revoke_token", "Can revoke tokens of orchestrators"),
                ],
            },
        ),
        migrations.AlterModelOptions(
            name="entry",
            options={
                "ordering": ["-id"],
                "verbose_name_plural": "entries",
                "permissions": [
                    ("reverse_entry", "Can reverse entries"),
                    ("export_ledger", "Can take the books away as CSV"),
                ],
            },
        ),
        # Roles stay when this is undone: people are in them.
        migrations.RunPython(create_roles, migrations.RunPython.noop),
    ]
