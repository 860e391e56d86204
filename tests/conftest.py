"""What every test stands on: real servers of its own, and settings that no developer's machine can change."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest
import redis
from django.db import connection
from playwright.sync_api import Browser, Page, sync_playwright

from launcher import chromium, dotenv, postgres, valkey

PROJECT = Path(__file__).resolve().parent.parent
OURS = (
    "DJANGO_",
    "PAYMENT_",
    "PAYMENTS_",
    "ORCHESTRATOR_",
    "TOP_",
    "ETH_",
    "DATABASE_URL",
    "REDIS_URL",
    "SERVICE_NAME",
)
SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "DJANGO_SECRET_KEY": "a-secret-key-for-tests-that-is-long-enough-and-has-enough-different-letters",
    "PAYMENTS_API_ADMIN_TOKEN": "test-admin-token",
    "PAYMENTS_VIEWER_TOKENS": "test-viewer-token",
    "PAYMENTS_SESSION_REPORTER_TOKEN": "test-reporter-token",
    "PAYMENTS_SESSION_CREDIT_ETH_PER_MINUTE": "0.0006",
    "PAYMENTS_LEDGER_JOURNAL_PATH": "",
    "PAYMENTS_AUDIT_LOG_PATH": "",
}


def _isolate() -> None:
    """Forget the developer's variables, and blank those of `.env`: blank means unset."""
    given = {
        "DATABASE_URL": os.environ.get("TEST_DATABASE_URL"),
        "REDIS_URL": os.environ.get("TEST_REDIS_URL"),
    }
    for name in [name for name in os.environ if name.startswith(OURS)]:
        del os.environ[name]
    os.environ.update(dict.fromkeys(dotenv.read(Path.cwd() / ".env"), ""))
    os.environ.update(SETTINGS)
    os.environ.update({name: url for name, url in given.items() if url})


def _start_servers() -> None:
    """Start what was not given, once for all processes of this run, which inherit the addresses."""
    home = Path(tempfile.mkdtemp(prefix="embody-tests-"))
    home.chmod(0o711)  # PostgreSQL may run as another account than ours and has to pass through.
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ["PAYMENTS_DATA_DIR"] = str(home)
    if "DATABASE_URL" not in os.environ:
        database = postgres.start(home / "postgres", fsync=False)
        atexit.register(database.stop)
        os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"] = database.url
    if "REDIS_URL" not in os.environ:
        broker = valkey.start(home / "valkey")
        atexit.register(broker.stop)
        os.environ["REDIS_URL"] = os.environ["TEST_REDIS_URL"] = broker.url


def _share_valkey(worker: str) -> None:
    """Give each parallel process a Valkey database of its own."""
    base, _, _ = os.environ["REDIS_URL"].rpartition("/")
    os.environ["REDIS_URL"] = f"{base}/{int(worker.removeprefix('gw')) + 1}"


if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    _share_valkey(worker)
else:
    _isolate()
    _start_servers()

# Here and not by pytest-django, which would read the settings before this file has made their environment.
# Parallel processes inherit ours, so it must not tell pytest-django there where the settings are.
os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS["DJANGO_SETTINGS_MODULE"]
django.setup()
del os.environ["DJANGO_SETTINGS_MODULE"]


@pytest.fixture(scope="session", autouse=True)
def _books_can_be_emptied() -> Iterator[None]:
    """Let Django empty the tables after a transactional test, although the ledger's triggers forbid it."""
    engine = type(connection.ops)
    flush = engine.execute_sql_flush

    def without_triggers(operations: Any, statements: list[str]) -> None:
        flush(operations, ["SET LOCAL session_replication_role = replica", *statements])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "execute_sql_flush", without_triggers)
        yield


@pytest.fixture(scope="session")
def valkey_client() -> Iterator[redis.Redis]:
    """The Valkey database of this test process."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        yield client


@pytest.fixture(autouse=True)
def _empty_valkey(valkey_client: redis.Redis) -> None:
    """No test sees the rate limits or queued tasks of another."""
    valkey_client.flushdb()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real Chromium, without the traffic of its own that it usually makes."""
    path = chromium.find(os.environ)
    if path is None:
        pytest.skip(
            "no Chromium on this machine: `make test` as root installs one, or set PLAYWRIGHT_CHROMIUM"
        )
    # Playwright drives the browser from an event loop, in which Django would refuse to touch the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    quiet = [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
    ]
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(
            executable_path=path, args=[*quiet, "--disable-quic", "--disable-dev-shm-usage", *sandbox]
        )
        yield chrome
        chrome.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page with cookies and storage of its own."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield context.new_page()
