"""The house under attack: web, beat and workers as real processes, against the misbehaving provider.

Imported after Django is set up for the run's own database and broker (``__main__``).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import Count, QuerySet
from django.utils import timezone

from agdar.celery import app
from core.management.commands.demo import demo_children
from core.models import Patient
from core.tenancy import system_scope, tenant_scope
from integrations.messaging_service import MessagingService
from integrations.models import ProviderState, RateBucket
from notifications.models import Message, MessageAttempt, MessageTemplate, ProviderReceipt, WhatsAppApproval
from notifications.states import Status
from tests import factories, processes
from tests.chaos.book import CONTENTS, Book
from tests.chaos.plan import Fate, Plan
from tests.chaos.services import Broker, Database

TEMPLATE = "chaos.notice"
TENANTS = 3
# What has not left by now, or has left and not said so.
UNDERWAY = (Status.QUEUED, Status.SENDING)
# A process that ends this often by itself will not get better.
_ENOUGH = 10
_EVERYBODY = "a judge looks at all clinics"


class House:
    """Starts, feeds, kills and hurries. ``notes`` are figures for the reader, ``made`` the rows that must be there."""

    def __init__(self, folder: Path, *, database: Database, broker: Broker, workers: int) -> None:
        self.folder, self.database, self.broker = folder, database, broker
        self.made = 0
        self.notes: Counter[str] = Counter()
        self._address = settings.PUBLIC_BASE_URL
        self._children = {
            child.name: child.command[1:]
            for child in demo_children(dict(os.environ), int(self._address.split(":")[-1]))
        }
        self._processes = processes.House(folder, self._address, {})
        # Whatever kinds of worker a house has (one for bulk sends beside the others), each so often.
        self._workers = {
            f"{kind}-{number}": command
            for kind, command in self._children.items()
            for number in range(1, workers + 1)
            if "worker" in command
        }
        self._expected: dict[str, tuple[str, ...]] = {}
        self.book = Book(folder / "provider.sqlite3")
        self.plan = Plan()
        self.tenants = [factories.TenantFactory(slug=f"chaos-{number}") for number in range(TENANTS)]
        for tenant in self.tenants:
            with tenant_scope(tenant.pk):
                self._add_words(tenant)

    def _add_words(self, tenant: Any) -> None:
        for channel in ("SMS", "WHATSAPP"):
            template = MessageTemplate.objects.create(
                tenant=tenant,
                code=TEMPLATE,
                name="A notice",
                channel=channel,
                notification_type="GENERAL",
                body_en="Dear {patient_name}, we have moved to Olaya Street.",
                body_ar="عزيزنا {patient_name}، انتقلنا إلى شارع العليا.",
                variables=["patient_name"],
            )
            for language, (sid, _text) in CONTENTS.items() if channel == "WHATSAPP" else ():
                WhatsAppApproval.objects.create(
                    tenant=tenant, template=template, language=language, state="APPROVED", content_sid=sid, version=1
                )
            # The provider takes it as fast as it comes; what a sender may send is another test's matter.
            RateBucket.objects.create(tenant=tenant, provider="twilio", channel=channel, rate=100_000.0)

    # --- processes --------------------------------------------------------------------------------------------------

    def start_provider(self, plan: Plan) -> None:
        """Also after it was killed: the book is on disk, the plan is told again."""
        self.plan = plan
        port = settings.TWILIO_API_BASE_URL.split(":")[-1]
        self._start(
            *(
                "provider",
                "-m",
                "tests.chaos.provider",
                "--port",
                port,
                "--book",
                str(self.folder / "provider.sqlite3"),
            ),
            *("--account", settings.TWILIO_ACCOUNT_SID, "--token", settings.TWILIO_AUTH_TOKEN),
        )
        self.until(self._provider_answers, seconds=20, what="the provider answers")
        self._ask("PUT", "/plan", plan.as_json())

    def start(self) -> None:
        """Web and beat; workers come when the scenario wants them."""
        self._start("web", *self._children["web"])
        self._start("beat", *self._children["beat"], "-s", str(self.folder / "schedule"))
        self.until(self._web_answers, seconds=60, what="the web server answers")

    def start_workers(self) -> None:
        for name, command in self._workers.items():
            self._start(name, *command, "-n", f"{name}@%h")

    def kill_workers(self) -> None:
        for name in self._workers:
            self.kill(name)

    def kill(self, name: str) -> None:
        """kill -9 of the process and its children."""
        self._expected.pop(name, None)
        self._processes.kill(name)

    def stop(self) -> None:
        self._expected.clear()
        self._processes.stop_all()

    def _start(self, name: str, *command: str) -> None:
        self._processes.start(name, *command)
        self._expected[name] = command

    def _mind(self) -> None:
        """What ends by itself is started again, as any service manager would, and counted."""
        for name, command in list(self._expected.items()):
            if self._processes.running[name].poll() is not None:
                self.notes[f"{name} ended by itself"] += 1
                if self.notes[f"{name} ended by itself"] > _ENOUGH:
                    raise RuntimeError(f"{name} does not stay up:\n{self._processes.log(name)[-3000:]}")
                self.kill(name)
                self._start(name, *command)

    def until(self, condition: Callable[[], object], *, seconds: float, what: str) -> None:
        """Waits until it is so. Raises TimeoutError with ``what`` otherwise."""
        if not self.is_so_within(condition, seconds=seconds):
            raise TimeoutError(f"not within {seconds:g} s: {what}")

    def is_so_within(self, condition: Callable[[], object], *, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._mind()
            if condition():
                return True
            time.sleep(0.05)
        return False

    # --- the provider -----------------------------------------------------------------------------------------------

    def end_faults(self) -> None:
        self._ask("DELETE", "/plan")

    def provider_state(self) -> dict[str, int]:
        state: dict[str, int] = self._ask("GET", "/state")
        return state

    def accepted(self) -> int:
        return self.book.count("SELECT count(*) FROM accepted")

    def asked(self) -> int:
        """Messages that the provider was asked for at least once."""
        return self.book.count("SELECT count(DISTINCT message_ref) FROM request")

    def wait_for_work(self, seconds: float = 30) -> None:
        """Until the provider accepts another message, so that the fault strikes in the middle of sending."""
        before = self.accepted()
        self.is_so_within(lambda: self.accepted() > before, seconds=seconds)

    def _provider_answers(self) -> bool:
        with contextlib.suppress(OSError):
            self._ask("GET", "/state")
            return True
        return False

    def _web_answers(self) -> bool:
        with contextlib.suppress(OSError):
            _get(f"{self._address}/healthz").close()
            return True
        return False

    def _ask(self, method: str, path: str, data: Any = None) -> Any:
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(settings.TWILIO_API_BASE_URL + path, body, method=method)
        with _get(request) as answer:
            return json.load(answer)

    # --- messages ---------------------------------------------------------------------------------------------------

    def create(self, count: int) -> None:
        """So many messages in equal parts for the clinics: SMS, a fifth WhatsApp, and a few sent twice on purpose.

        The same words twice to the same number, as two messages, are the hard case of asking a provider that knows
        no id of ours: one found is not both.
        """
        for number, tenant in enumerate(self.tenants):
            share = count // len(self.tenants) + (number < count % len(self.tenants))
            if share:
                self._create(tenant, share)

    def _create(self, tenant: Any, count: int) -> None:
        again = count // 20
        with tenant_scope(tenant.pk):
            patients = Patient.objects.bulk_create(factories.PatientFactory.build_batch(count - again, tenant=tenant))
        ids = [patient.pk for patient in patients]
        whatsapp = len(ids) // 5
        # One is sent as a single message, past the bulk's way in.
        MessagingService().send_from_template(
            tenant_id=tenant.pk,
            template_code=TEMPLATE,
            patient_id=ids[0],
            channel="SMS",
            context={"patient_name": patients[0]},
        )
        for name, chosen, channel in (
            ("sms", ids[whatsapp + 1 :], "SMS"),
            ("whatsapp", ids[1 : whatsapp + 1], "WHATSAPP"),
            ("again", ids[len(ids) - again :], "SMS"),
        ):
            MessagingService().send_bulk_messages(
                tenant_id=tenant.pk,
                patient_ids=chosen,
                template_code=TEMPLATE,
                channel=channel,
                bulk_key=f"{name}-{self.made}",
            )
        self.made += count

    def counts(self) -> Counter[str]:
        with system_scope(_EVERYBODY):
            rows = Message.objects.order_by().values_list("status").annotate(Count("pk"))
            return Counter(dict(rows))

    def underway(self) -> int:
        counts = self.counts()
        return sum(counts[status] for status in UNDERWAY)

    # --- time -------------------------------------------------------------------------------------------------------

    def lose_leases(self) -> None:
        """For a house whose workers were all killed just now: nobody can still be working on what is SENDING."""
        with system_scope(_EVERYBODY):
            Message.objects.filter(status=Status.SENDING).update(lease_expires_at=timezone.now())

    def hurry(self) -> None:
        """Time passes for what waits: retries and questions to the provider are due, and so is each periodic task.

        Only the rows' clocks are moved, and only while the provider has no request open: what it has not heard of by
        now, it will never hear of.
        """
        now = timezone.now()
        long_ago = now - dt.timedelta(hours=1)
        with system_scope(_EVERYBODY):
            _touch(Message.objects.filter(status=Status.FAILED, next_attempt_at__gt=now), next_attempt_at=now)
            _touch(Message.objects.filter(next_check_at__gt=now), next_check_at=now)
            if not self.provider_state()["open"]:
                doubtful = MessageAttempt.objects.filter(message__status=Status.UNCONFIRMED, started_at__gt=long_ago)
                _touch(doubtful, started_at=long_ago, finished_at=long_ago)
            _touch(ProviderState.objects.filter(retry_at__gt=now), retry_at=now)
            _touch(RateBucket.objects.filter(paused_until__gt=now), paused_until=now)
        for entry in app.conf.beat_schedule.values():
            if entry["schedule"] <= 600:
                app.send_task(entry["task"], args=entry.get("args", ()), **entry["options"])

    def unsettled(self) -> int:
        """What more time would still change: retries to come, outcomes to ask for, receipts that were lost."""
        counts = self.counts()
        with system_scope(_EVERYBODY):
            again = Message.objects.filter(status=Status.FAILED, next_attempt_at__isnull=False).count()
            sent = {str(pk) for pk in Message.objects.filter(status=Status.SENT).values_list("pk", flat=True)}
        stuck = {
            row["message_ref"]
            for row in self.book.rows("SELECT message_ref FROM accepted WHERE fate = ?", Fate.STUCK.value)
        }
        # Told and stored is not yet applied.
        waiting = self.provider_state()["callbacks_waiting"] + ProviderReceipt.objects.filter(applied_at=None).count()
        return again + counts[Status.UNCONFIRMED] + self.underway() + len(sent - stuck) + waiting

    def settle(self, *, patience: float, pace: float) -> None:
        """Hurries until nothing is left to settle, or nothing has moved for ``patience`` seconds.

        ``pace``: seconds between two jumps of the clocks. In less time than the questions of one jump take, the next
        one would have them all asked again.
        """
        left, since = self.unsettled(), time.monotonic()
        while left and time.monotonic() - since < patience:
            self.hurry()
            time.sleep(pace)
            self._mind()
            now_left = self.unsettled()
            if now_left != left:
                left, since = now_left, time.monotonic()
        self.notes["left unsettled"] = left
        self.notes["tasks that raised"] = sum(
            self._processes.log(name).count("raised unexpected") for name in self._workers
        )


@transaction.atomic
def _touch(rows: QuerySet[Any], **fields: Any) -> None:
    """Writes the rows that nobody is working on; the others come next time."""
    free = rows.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)
    rows.model._default_manager.filter(pk__in=list(free)).update(**fields)


@contextlib.contextmanager
def database_away(house: House) -> Iterator[None]:
    """The server is gone like in a crash inside, and back afterwards."""
    connection.close()
    house.database.kill()
    try:
        yield
    finally:
        house.database.start()
        with contextlib.suppress(DatabaseError):
            connection.close()


def _get(request: str | urllib.request.Request) -> Any:
    """Never through a proxy of the environment: all of it is on this machine."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10)
