"""What to read when everything is up: where to go, how to log in, what to try first."""

from launcher.configuration import Configuration


def text(configuration: Configuration, *, first_time: bool, seconds: float) -> str:
    """The block that `make run` ends its start with."""
    return f"""
  Embody Payments is running, {seconds:.1f} s after its start.

  Admin     {configuration.address}/admin/
  Login     {_login(configuration, first_time=first_time)}
  API docs  {configuration.address}/api/docs (for staff who are logged in)
  Data      {configuration.data}
  Stop      Ctrl-C
{_first_event(configuration)}"""


def _login(configuration: Configuration, *, first_time: bool) -> str:
    name = configuration.variables.get("DJANGO_SUPERUSER_USERNAME", "").strip() or "admin"
    password = configuration.variables.get("DJANGO_SUPERUSER_PASSWORD", "").strip()
    if not password:
        return "the staff accounts that exist (set DJANGO_SUPERUSER_PASSWORD to have a first one created)"
    if first_time:
        return f"{name}, password {password} (kept in .env as DJANGO_SUPERUSER_PASSWORD)"
    return f"{name}, with the password it has; the first one is in .env as DJANGO_SUPERUSER_PASSWORD"


def _first_event(configuration: Configuration) -> str:
    if not configuration.has("PAYMENTS_SESSION_REPORTER_TOKEN"):
        return "\n  PAYMENTS_SESSION_REPORTER_TOKEN is not set, so no edge can report sessions.\n"
    return f"""
  Try it from another terminal, in this directory: a host registers, an edge reports a session.

    set -a; . ./.env; set +a
    curl {configuration.address}/api/orchestrators/register -H 'Content-Type: application/json' \\
      -d '{{"orchestrator_id": "orch-a", "address": "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a", \
"host_public_ip": "203.0.113.7"}}'
    curl {configuration.address}/api/sessions/events -H 'Content-Type: application/json' \\
      -H "X-Session-Token: $PAYMENTS_SESSION_REPORTER_TOKEN" \\
      -d '{{"session_id": "session-1", "event": "start", "upstream_addr": "203.0.113.7"}}'
"""
