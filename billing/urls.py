"""Routes of the registry and the ledger, mounted under /api/."""

from django.urls import URLPattern, path

from billing.api import registry, tokens

urlpatterns: list[URLPattern] = [
    path("orchestrators/register", registry.Register.as_view()),
    path("orchestrators/<str:orchestrator_id>/health", registry.Health.as_view()),
    path("licenses/orchestrators/<str:orchestrator_id>/tokens", tokens.Tokens.as_view()),
    path("licenses/orchestrators/<str:orchestrator_id>/tokens/<str:token_id>", tokens.Token.as_view()),
]
