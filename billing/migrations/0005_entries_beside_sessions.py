"""Let staff find adjustments among millions of session entries."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0004_staff_roles"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="entry",
            index=models.Index(
                condition=models.Q(("kind", "session_segment"), _negated=True),
                fields=["kind", "recorded_at"],
                name="billing_entry_beside_sessions",
            ),
        ),
    ]
