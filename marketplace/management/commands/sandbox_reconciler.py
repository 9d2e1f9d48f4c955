"""``manage.py sandbox_reconciler``: stands in for Flux on one machine. Refused where customers are real."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from catalyst.local.reconciler import Reconciler, Target
from catalyst.local.reconciler_notify import EventNotTaken
from catalyst.local.reconciler_source import SourceUnavailable
from marketplace.services.flux_sandbox import clone_path, issue_reader_token, let_reader_in
from marketplace.services.oci.charts import fetch_chart
from tenancy.models import Environment, Sovereign, User
from tenancy.services.environments import environment_flux_key

log = structlog.get_logger(__name__)

_POLL_SECONDS = 1.0
_PAUSE_SECONDS = 5.0
_THREADS = 4


class Command(BaseCommand):
    help = "Reconcile every Environment as Flux would, without a cluster, until told to stop."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stop = threading.Event()
        #: The commit that was reported last, by Environment.
        self._reported: dict[int, str] = {}
        self._members: set[int] = set()
        self._reader: tuple[User, str] | None = None

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default="", help="Address of the web server; empty: this machine.")
        parser.add_argument("--seconds", type=float, default=2.0, help="How long an Application takes to start.")

    def handle(self, *args: Any, **options: Any) -> None:
        if str(settings.SETTINGS_MODULE).endswith(".prod"):
            raise CommandError("The sandbox reconciler starts nothing; production settings refuse it.")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        url = options["url"].rstrip("/") or f"http://127.0.0.1:{settings.CATALYST_PORT}"
        folder = settings.CATALYST_HOME / "sandbox-flux"
        reconciler = Reconciler(folder, seconds=options["seconds"], stop=self._stop, charts=fetch_chart)
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="reconciler") as threads:
            while not self._stop.is_set():
                self._stop.wait(self.turn(reconciler, url, threads))

    def turn(self, reconciler: Reconciler, url: str, threads: ThreadPoolExecutor) -> float:
        """Reconcile what has a commit that was not reported; return how long to pause."""
        reconciler.beat()
        try:
            targets = self._targets(url, reconciler)
        except (OperationalError, InterfaceError) as error:
            log.warning("reconciler_database_unavailable", error=str(error))
            connection.close()
            return _PAUSE_SECONDS
        results = threads.map(lambda each: self._reconcile(reconciler, *each), targets)
        return _POLL_SECONDS if all(results) else _PAUSE_SECONDS

    def _targets(self, url: str, reconciler: Reconciler) -> list[tuple[int, Target]]:
        """Return the Environments with news. The row is the doorbell that a Receiver is for Flux, nothing more."""
        if not Sovereign.objects.filter(is_sandbox=True).exists():
            return []
        environments = Environment.objects.exclude(head_commit="").select_related("organization").order_by("pk")
        return [
            (row.pk, self._target(row, url))
            for row in environments
            if self._reported.get(row.pk) != row.head_commit or reconciler.is_asked(row.name)
        ]

    def _target(self, environment: Environment, url: str) -> Target:
        if self._reader is None:
            self._reader = issue_reader_token(now=timezone.now())
        reader, token = self._reader
        if environment.organization_id not in self._members:
            let_reader_in(reader=reader, environment=environment)
            self._members.add(environment.organization_id)
        return Target(
            environment=environment.name,
            clone_url=f"{url}{clone_path(environment)}",
            webhook_url=f"{url}/webhooks/flux/{environment.uuid}/",
            token=token,
            key=environment_flux_key(environment),
        )

    def _reconcile(self, reconciler: Reconciler, environment_id: int, target: Target) -> bool:
        try:
            commit = reconciler.reconcile(target)
        except (SourceUnavailable, EventNotTaken) as error:
            log.info("reconciler_waits", environment=target.environment, reason=str(error))
            return False
        except Exception:
            log.exception("reconciler_failed", environment=target.environment)
            return False
        if not self._stop.is_set():
            self._reported[environment_id] = commit
        return True
