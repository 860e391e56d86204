"""Let the ledger answer "what was this account's balance as of that entry" from an index."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0002_ledger_promises")]

    operations = [
        migrations.RemoveConstraint(model_name="leg", name="billing_leg_is_one_per_entry_and_account"),
        migrations.AddConstraint(
            model_name="leg",
            constraint=models.UniqueConstraint(
                fields=("account", "entry"), name="billing_leg_is_one_per_account_and_entry"
            ),
        ),
        # The composite key (account_id, asset) already proves that the account exists; proving it twice
        # would double what each leg costs.
        migrations.AlterField(
            model_name="leg",
            name="account",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="legs",
                to="billing.account",
            ),
        ),
    ]
