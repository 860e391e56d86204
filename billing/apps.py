"""The ground of the product: orchestrators, their tokens, and the ledger."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = "Billing"
