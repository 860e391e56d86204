"""Routes of the registry and the ledger, mounted under /api/."""

from django.urls import URLPattern, path

from billing.api import ledger, registry, stats, tokens

urlpatterns: list[URLPattern] = [
    path("orchestrators/register", registry.Register.as_view(), name="register"),
    path("orchestrators/me/stats", stats.MyStats.as_view()),
    path("orchestrators/<str:orchestrator_id>/stats", stats.Stats.as_view()),
    path("ledger/adjustments", ledger.Adjustments.as_view()),
    path("ledger/events", ledger.Events.as_view()),
    path("orchestrators/<str:orchestrator_id>/health", registry.Health.as_view()),
    path("licenses/orchestrators/<str:orchestrator_id>/tokens", tokens.Tokens.as_view()),
    path("licenses/orchestrators/<str:orchestrator_id>/tokens/<str:token_id>", tokens.Token.as_view()),
]
