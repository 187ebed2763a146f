"""A provider cannot come: what is booked in that time is called off in one operation.

``preview`` shows who is told and who has to be called; ``call_off`` does it once, however often it is asked with one key.
The absence is written, and committed, before the first visit is touched, so nobody books into the gap; then all visits,
the news and the desk's tasks are one transaction. A crash in between leaves an unfinished absence, which the next click or
the sweep finishes. Each visit is looked at again under its lock: who has arrived stays.

A family reads one message, the desk gets a task to find each a new time, and the waiting list is offered nothing of it.
Keyword-only, audited; refusals are ``DomainError``. Needs the tenant's scope open.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Max, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from appointments import first_news, services
from appointments.models import AbsenceVisit, Appointment, ProviderAbsence
from appointments.services.common import clean_reason
from appointments.states import AWAITED, OCCUPYING
from core import audit, discretion
from core.access import Can
from core.contacts import DECEASED, Contact, recipients_for
from core.errors import DomainError
from core.models import Location, Patient, Role, User
from core.permissions import NotAllowed, demand
from core.tenancy import active_tenant_ids, tenant_scope
from notifications import desk_tasks, events
from notifications.models import Message, NotificationEvent
from notifications.states import NotificationType, Reason, TaskKind

log = structlog.get_logger(__name__)

CALLED_OFF, RECORDED = "absence.called_off", "absence.recorded"
# A visit so near: nobody can be sure that a message is read in time.
CALL_BEFORE = dt.timedelta(hours=3)
# A longer time is a contract that ends, not an absence.
LONGEST = dt.timedelta(days=92)
# Whoever runs one needs seconds.
_UNFINISHED_AFTER = dt.timedelta(minutes=2)

# A message that was put off has gone by then.
_TOLD_WITHIN = dt.timedelta(days=2)
# One of a family is no longer to be told of on this address.
_READ_BY_OTHERS = (
    *(Reason.STALE_VERSION, Reason.GUARDIAN_BLOCKED, Reason.GUARDIAN_UNVERIFIED),
    *(Reason.DECEASED, Reason.RESTRICTED, Reason.MERGED_AWAY),
)

Outcome = AbsenceVisit.Outcome


class NeedsCall(StrEnum):
    """Why a message is not enough."""

    NO_CONTACT = "no_contact"
    SENSITIVE = "sensitive"
    SOON = "soon"


@dataclass(frozen=True, slots=True)
class Line:
    """One visit that will be called off. ``family``: those with one number read one message; 0: nobody is told."""

    visit: Appointment
    family: int
    needs_call: NeedsCall | None


@dataclass(frozen=True, slots=True)
class Preview:
    lines: Sequence[Line]
    # Here already, or with the provider: these stay.
    kept: Sequence[Appointment]

    @property
    def messages(self) -> int:
        """How many families read one."""
        told = {line.family for line in self.lines if line.needs_call is not NeedsCall.NO_CONTACT}
        return len(told - {0})

    @property
    def calls(self) -> Sequence[Line]:
        return [line for line in self.lines if line.needs_call is not None]


def preview(*, provider: User, starts_at: dt.datetime, ends_at: dt.datetime, location: Location | None) -> Preview:
    """What ``call_off`` would do now. Writes nothing."""
    now = timezone.now()
    found = list(_in_the_way(provider, starts_at, ends_at, location))
    lines = _lines([visit for visit in found if _can_go(visit, now)], now)
    return Preview(lines, [visit for visit in found if not _can_go(visit, now)])


def call_off(
    *,
    actor: User,
    provider: User,
    starts_at: dt.datetime,
    ends_at: dt.datetime,
    reason: str,
    key: uuid.UUID,
    location: Location | None = None,
) -> ProviderAbsence:
    """Calls off every visit of the provider that touches this time. The same ``key`` again does nothing more."""
    demand(actor, Can.MANAGE_APPOINTMENTS, provider, location)
    text = clean_reason(reason, required=True)
    if ends_at <= max(starts_at, timezone.now()):
        raise DomainError(_("This time is over, or its end is before its beginning."), code="ends_early")
    if ends_at - starts_at > LONGEST:
        raise DomainError(_("Choose at most three months."), code="too_long")
    absence = _begun(actor, provider, location, starts_at.astimezone(dt.UTC), ends_at.astimezone(dt.UTC), text, key)
    finish(absence.pk)
    absence.refresh_from_db()
    return absence


@transaction.atomic
def finish(absence_id: uuid.UUID) -> int:
    """Does what is still to do of an absence: visits, news, tasks, all or nothing. Returns how many were called off."""
    absence = (
        ProviderAbsence.objects.select_for_update(of=("self",), no_key=True)
        .select_related("provider", "location", "created_by")
        .get(pk=absence_id)
    )
    if absence.finished_at is not None:
        return 0
    now = timezone.now()
    if absence.lifted_at is not None:
        # The provider comes after all, and nobody has been told anything yet.
        absence.finished_at = now
        absence.save(update_fields=["finished_at"])
        return 0
    found = list(_in_the_way(absence.provider, absence.starts_at, absence.ends_at, absence.location))
    lines = {line.visit.pk: line for line in _lines([visit for visit in found if _can_go(visit, now)], now)}
    rows: list[AbsenceVisit] = []
    for visit in found:
        line = lines.get(visit.pk)
        # Booked a minute ago, and nobody has been told: the patient need not hear that it is off, either.
        is_untold = first_news.is_untold(visit)
        cancelled = _cancelled(visit, absence) if line is not None else None
        is_known = not is_untold or first_news.is_told(visit)
        rows.append(
            AbsenceVisit(
                tenant_id=absence.tenant_id,
                absence=absence,
                appointment=cancelled or visit,
                version=(cancelled or visit).version,
                outcome=Outcome.CANCELLED if cancelled is not None else Outcome.KEPT,
                needs_call=line.needs_call or "" if line is not None and cancelled is not None else "",
                family=line.family if line is not None and cancelled is not None and is_known else 0,
            )
        )
    AbsenceVisit.objects.bulk_create(rows)
    absence.finished_at = timezone.now()
    absence.save(update_fields=["finished_at"])
    gone = [row for row in rows if row.outcome == Outcome.CANCELLED]
    _tell(absence, gone)
    _ask_the_desk(gone)
    audit.record(
        tenant_id=absence.tenant_id,
        actor=absence.created_by,
        action="provider_absence.called_off",
        obj=absence,
        after={
            "provider_id": str(absence.provider_id),
            "starts_at": absence.starts_at.isoformat(),
            "ends_at": absence.ends_at.isoformat(),
            "visits": len(gone),
            "kept": len(rows) - len(gone),
        },
    )
    return len(gone)


@transaction.atomic
def lift(*, absence_id: uuid.UUID, actor: User) -> ProviderAbsence:
    """The provider comes after all: the time can be booked again. What was called off stays so."""
    absence = ProviderAbsence.objects.select_for_update(no_key=True).get(pk=absence_id)
    demand(actor, Can.MANAGE_APPOINTMENTS, absence)
    if absence.lifted_at is None:
        absence.lifted_at = timezone.now()
        absence.save(update_fields=["lifted_at"])
        audit.record(tenant_id=absence.tenant_id, actor=actor, action="provider_absence.lifted", obj=absence)
    return absence


def taken_back(visit: Appointment) -> None:
    """A visit takes place after all, and its family has not read yet that it is off: the others are told without it."""
    called_off = AbsenceVisit.objects.filter(appointment=visit, outcome=Outcome.CANCELLED)
    row = called_off.exclude(family=0).order_by("absence__created_at").last()
    if row is None:
        return
    about = NotificationEvent.objects.filter(
        object_id=row.absence_id, key=CALLED_OFF, payload__family=row.family, processed_at__isnull=False
    )
    for event in first_news.withdraw_messages(about, Reason.STATUS_NOT_ELIGIBLE):
        events.record(
            CALLED_OFF,
            tenant_id=event.tenant_id,
            dedupe=f"{event.pk}:{visit.pk}:{visit.version}",
            obj=row.absence,
            actor=event.actor,
            payload=event.payload,
        )


def finish_all() -> dict[str, int]:
    """What a crash has left half done, and families that are none any more. Safe to run twice at once; one that fails
    does not stop the others.
    """
    counts = {"finished": 0, "failed": 0}
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            begun_by = timezone.now() - _UNFINISHED_AFTER
            left = ProviderAbsence.objects.filter(finished_at=None, created_at__lte=begun_by)
            for pk in list(left.values_list("pk", flat=True)):
                try:
                    finish(pk)
                except Exception as error:  # noqa: BLE001  # logged and tried again; the others must go on
                    log.error("absence_failed", absence_id=str(pk), error=type(error).__name__)  # noqa: TRY400
                    counts["failed"] += 1
                else:
                    counts["finished"] += 1
            try:
                _tell_apart()
            except Exception as error:  # noqa: BLE001  # the other clinic groups must go on
                log.error("absence_failed", tenant_id=str(tenant_id), error=type(error).__name__)  # noqa: TRY400
                counts["failed"] += 1
    return counts


# --- how it is done --------------------------------------------------------------------------------------------------


def _begun(
    actor: User,
    provider: User,
    location: Location | None,
    starts_at: dt.datetime,
    ends_at: dt.datetime,
    reason: str,
    key: uuid.UUID,
) -> ProviderAbsence:
    """The row of this key, committed: with the lock of whoever books the provider, so that no booking slips through."""
    tenant_id = actor.tenant_id
    if tenant_id is None:
        raise NotAllowed
    try:
        with transaction.atomic():
            User.objects.select_for_update(of=("self",), no_key=True).get(pk=provider.pk, role=Role.PROVIDER)
            there = ProviderAbsence.objects.filter(key=key).first()
            return there or ProviderAbsence.objects.create(
                tenant_id=tenant_id,
                provider=provider,
                location=location,
                starts_at=starts_at,
                ends_at=ends_at,
                reason=reason,
                key=key,
                created_by=actor,
            )
    except User.DoesNotExist as error:
        raise DomainError(_("%(name)s is not a provider.") % {"name": provider.name}, code="not_a_provider") from error
    except IntegrityError:
        # Two clicks at once, where there are no row locks.
        return ProviderAbsence.objects.get(key=key)


def _in_the_way(
    provider: User, starts_at: dt.datetime, ends_at: dt.datetime, location: Location | None
) -> QuerySet[Appointment]:
    """What takes the provider's time then, in its order."""
    rows = Appointment.objects.filter(
        provider=provider, status__in=OCCUPYING, starts_at__lt=ends_at, ends_at__gt=starts_at
    )
    if location is not None:
        rows = rows.filter(location=location)
    joined = rows.select_related("tenant", "patient__tenant", "provider", "location", "department")
    return joined.order_by("starts_at", "pk")


def _can_go(visit: Appointment, now: dt.datetime) -> bool:
    """Still to come. Who was due before and has not been marked yet may sit in the waiting room."""
    return visit.status in AWAITED and visit.starts_at > now


def _lines(visits: Sequence[Appointment], now: dt.datetime) -> list[Line]:
    patients = {visit.patient_id: visit.patient for visit in visits}
    readers = recipients_for(patients.values(), notification_type=NotificationType.CHANGE)
    numbers: dict[tuple[str, ...], int] = {}
    lines = []
    for visit in visits:
        found = readers[visit.patient_id]
        key = _family_key(visit.patient, found)
        family = 0 if found == DECEASED else numbers.setdefault(key, len(numbers) + 1)
        lines.append(Line(visit, family, _needs_call(visit, found, now)))
    return lines


def _family_key(patient: Patient, readers: Sequence[Contact] | str) -> tuple[str, ...]:
    """The same people at the same addresses read one message: its letter names all of them. Who is reached by nobody
    stands alone.
    """
    if isinstance(readers, str):
        return (f"patient:{patient.pk}",)
    addresses = (f"{reader.phone} {reader.email}".strip() for reader in readers)
    return tuple(sorted(address or reader.person_key for reader, address in zip(readers, addresses, strict=True)))


def _needs_call(visit: Appointment, readers: Sequence[Contact] | str, now: dt.datetime) -> NeedsCall | None:
    if readers == DECEASED:
        return None
    if isinstance(readers, str) or not any(reader.phone or reader.email for reader in readers):
        return NeedsCall.NO_CONTACT
    if visit.starts_at - now < CALL_BEFORE:
        return NeedsCall.SOON
    return NeedsCall.SENSITIVE if discretion.is_discreet(visit.location) else None


def _cancelled(visit: Appointment, absence: ProviderAbsence) -> Appointment | None:
    """The visit, called off; None when it has arrived, begun, moved away or been called off meanwhile."""
    row = Appointment.objects.select_for_update(of=("self",), no_key=True).get(pk=visit.pk)
    still = (
        _can_go(row, timezone.now())
        and row.provider_id == absence.provider_id
        and row.starts_at < absence.ends_at
        and row.ends_at > absence.starts_at
    )
    if not still:
        return None
    return services.appointment_cancel(
        appointment_id=row.pk, actor=absence.created_by, reason=absence.reason, told_together="absence"
    )


def _tell(absence: ProviderAbsence, gone: Iterable[AbsenceVisit]) -> None:
    """One event a family, and one for the provider."""
    families: Mapping[int, list[AbsenceVisit]] = defaultdict(list)
    for row in gone:
        families[row.family].append(row)
    now = timezone.now()
    for family, rows in families.items():
        if not family or not any(row.appointment.starts_at > now and not row.appointment.is_silent for row in rows):
            continue
        events.record(
            CALLED_OFF,
            tenant_id=absence.tenant_id,
            dedupe=f"{absence.pk}:{family}",
            obj=absence,
            actor=absence.created_by,
            payload={"family": family},
        )
    if families:
        events.record(
            RECORDED, tenant_id=absence.tenant_id, dedupe=str(absence.pk), obj=absence, actor=absence.created_by
        )


def _tell_apart() -> None:
    """Whose news waited for the morning, and is read by others than their relatives' by then, is told alone."""
    for absence in ProviderAbsence.objects.filter(finished_at__gt=timezone.now() - _TOLD_WITHIN):
        told = NotificationEvent.objects.filter(key=CALLED_OFF, object_id=absence.pk, processed_at__isnull=False)
        refused = Message.objects.filter(
            event__in=list(told.values_list("pk", flat=True)), patient__isnull=False, reason__in=_READ_BY_OTHERS
        )
        for family in set(refused.values_list("event__payload__family", flat=True)):
            _split(absence.pk, family)


@transaction.atomic
def _split(absence_id: uuid.UUID, family: int) -> None:
    """Each person of a family becomes one of their own, and is told. Once: then there is nobody left in it."""
    absence = ProviderAbsence.objects.select_for_update(of=("self",), no_key=True).get(pk=absence_id)
    mine = AbsenceVisit.objects.filter(absence=absence, outcome=Outcome.CANCELLED)
    rows = list(mine.filter(family=family).select_related("appointment").order_by("appointment__starts_at", "pk"))
    people = list(dict.fromkeys(row.appointment.patient_id for row in rows))
    if len(people) < 2:
        return
    first = mine.aggregate(last=Max("family"))["last"] + 1
    for row in rows:
        row.family = first + people.index(row.appointment.patient_id)
    AbsenceVisit.objects.bulk_update(rows, ["family"])
    _tell(absence, rows)


def _ask_the_desk(gone: Iterable[AbsenceVisit]) -> None:
    """To find each a new time; to call where a message is not enough. Nobody calls the family of who has died."""
    for row in gone:
        visit = row.appointment
        if visit.patient.deceased_at is not None:
            continue
        desk_tasks.open_task(
            TaskKind.REBOOK,
            tenant_id=visit.tenant_id,
            key=str(visit.pk),
            patient=visit.patient,
            obj=visit,
            location=visit.location,
            due_at=visit.starts_at,
            details={"because": "absence", "absence": str(row.absence_id)},
        )
        if row.needs_call:
            desk_tasks.open_task(
                TaskKind.CALL,
                tenant_id=visit.tenant_id,
                key=f"absence:{row.absence_id}:{visit.pk}",
                patient=visit.patient,
                obj=visit,
                location=visit.location,
                due_at=visit.starts_at,
                is_urgent=row.needs_call == NeedsCall.SOON,
                details={"because": row.needs_call},
            )
