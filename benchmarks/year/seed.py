"""Any number of messages over one year in twenty clinic groups, with visits, attempts and people, by INSERT … SELECT.

Needs production's environment, ``django.setup()`` and the migrated tables (``benchmarks/ours.py``).

::

    year = seed.found(5_000_000)
    year.groups[0].tenant_id, year.groups[0].admin_key    # the session key of the first group's admin

The same size gives the same rows, apart from the moment the year ends: now. Every fifth message has its attempts (one
row each); there are no message logs. Columns that a later migration adds get their model's default.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.staff_bell.seed import _sign_in

if TYPE_CHECKING:
    from django.db.models import Model

TENANTS = 20
PATIENTS = 2_000
PROVIDERS = 10
MESSAGES_A_VISIT = 8
_DEPARTMENTS = ("Dermatology", "Dental", "Pediatrics", "Cardiology", "Orthopedics", "Ophthalmology")
_FIRST = ("Sara", "Noura", "Layla", "Ahmad", "Khalid", "Omar", "Huda", "Reem", "Fahad", "Yousef", "Salwa", "Maha")
_FIRST_AR = ("سارة", "نورة", "ليلى", "أحمد", "خالد", "عمر", "هدى", "ريم", "فهد", "يوسف", "سلوى", "مها")
_LAST = ("Al-Mutairi", "Al-Harbi", "Al-Qahtani", "Al-Otaibi", "Al-Zahrani", "Al-Shehri", "Al-Dosari", "Al-Ghamdi")
_LAST_AR = ("المطيري", "الحربي", "القحطاني", "العتيبي", "الزهراني", "الشهري", "الدوسري", "الغامدي")
# How often each type is written, in a hundred: what a clinic sends most are reminders.
_SHARES = {"REMINDER": 45, "CONFIRMATION": 25, "CHANGE": 12, "BILLING": 8, "MARKETING": 5, "RESULTS": 3, "GENERAL": 2}
_CHANNEL_SHARES = {"SMS": 5, "WHATSAPP": 3, "EMAIL": 2}


@dataclass(frozen=True)
class Group:
    """One clinic group. The keys are those of sessions: of its admin, and of somebody at its front desk."""

    tenant_id: uuid.UUID
    admin_id: uuid.UUID
    admin_key: str
    desk_key: str


@dataclass(frozen=True)
class Year:
    """``size`` messages, evenly over the groups and over the year that ends at ``now``."""

    groups: list[Group]
    size: int
    now: dt.datetime


def found(size: int, *, tenants: int = TENANTS, patients: int = PATIENTS, number: int = 0) -> Year:
    """Makes the groups and their year. ``number`` tells several years in one database apart: their ids and groups."""
    from django.utils import timezone

    now = timezone.now()
    _SHAPE.update(tenants=tenants, patients=patients, size=size, now=now, step=dt.timedelta(days=365) / size)
    _SHAPE["base"] = number << 60
    groups = [
        _found_group(place, f"year{place}" if not number else f"year{number}-{place}") for place in range(tenants)
    ]
    _people()
    _visits()
    _messages()
    _attempts()
    _run("DROP TABLE bench_slot, bench_slots")
    _run("VACUUM ANALYZE")
    return Year(groups, size, now)


# What the statements below are filled with.
_SHAPE: dict[str, Any] = {}


def _found_group(number: int, slug: str) -> Group:
    from core.models import Department, Location, Tenant, User
    from core.tenancy import tenant_scope
    from notifications import default_words

    tenant = Tenant.objects.create(pk=_key(number), slug=slug, name_en=f"Clinics {number}", name_ar=f"عيادات {number}")
    with tenant_scope(tenant.pk):
        location = Location.objects.create(pk=_key(number), tenant=tenant, name_en="Olaya Branch", name_ar="فرع العليا")
        for place, name in enumerate(_DEPARTMENTS):
            Department.objects.create(
                pk=_key(number * 100 + place), tenant=tenant, name_en=name, name_ar=name, code=name[:3].upper()
            )
        people = {}
        for place in range(PROVIDERS + 2):
            role = ("ADMIN", "FRONT_DESK")[place] if place < 2 else "PROVIDER"
            people[place] = User.objects.create(
                pk=_key(number * 100 + place),
                tenant=tenant,
                location=location,
                email=f"user{place}@{slug}.example",
                name_en="Noura Al-Harbi",
                name_ar="نورة الحربي",
                password="!bench",
                role=role,
            )
        default_words.install(tenant.pk)
        _slots(number)
    return Group(tenant.pk, people[0].pk, _sign_in(people[0]), _sign_in(people[1]))


def _slots(number: int) -> None:
    """A table of what message number n of a group is: its template, as often as a clinic sends it."""
    from notifications.models import MessageTemplate

    if number == 0:
        _run(
            "CREATE TEMPORARY TABLE bench_slot (tenant int, slot int, template uuid, version int, channel text, "
            "type text, PRIMARY KEY (tenant, slot))"
        )
        _run("CREATE TEMPORARY TABLE bench_slots (tenant_no int PRIMARY KEY, count int)")
    rows: list[tuple[Any, ...]] = []
    found: dict[str, list[Any]] = {}
    for template in MessageTemplate.objects.order_by("code", "channel"):
        found.setdefault(template.notification_type, []).append(template)
    for kind, templates in found.items():
        often = max(1, _SHARES.get(kind, 0) // len(templates))
        for template in templates:
            times = often * _CHANNEL_SHARES[template.channel] if kind in _SHARES else 0
            rows += [(template.pk, template.version, template.channel, kind)] * times
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO bench_slot VALUES (%s, %s, %s, %s, %s, %s)",
            [(number, slot, *row) for slot, row in enumerate(rows)],
        )
        cursor.execute("INSERT INTO bench_slots VALUES (%s, %s)", [number, len(rows)])


def _people() -> None:
    from core.models import Patient

    _insert(
        Patient,
        {
            "id": _key_of("n + 1"),
            "tenant_id": _key_of("n % {tenants}"),
            "name_en": f"{_one_of(_FIRST, 'person')} || ' ' || {_one_of(_LAST, 'person / 12')}",
            "name_ar": f"{_one_of(_FIRST_AR, 'person')} || ' ' || {_one_of(_LAST_AR, 'person / 12')}",
            "mrn": "'P-' || lpad(person::text, 6, '0')",
            "birth_date": "date '1960-01-01' + (person * 37 % 15000)::int",
            "gender": "CASE WHEN person % 2 = 0 THEN 'F' ELSE 'M' END",
            "phone": "'+9665' || lpad(n::text, 8, '0')",
            "email": "'p' || n || '@patients.example'",
            "language": "CASE WHEN person % 4 = 0 THEN 'en' ELSE 'ar' END",
        },
        "FROM generate_series(0, {tenants} * {patients} - 1) AS n, LATERAL (SELECT n / {tenants} AS person) p",
    )


def _visits() -> None:
    """One for so many messages each. Of the past ones one in twelve did not come."""
    from appointments.models import Appointment

    _insert(
        Appointment,
        {
            "id": _key_of("n + 1"),
            "tenant_id": _key_of("n % {tenants}"),
            "number": "'A-' || n",
            "patient_id": _key_of("(n % {tenants}) + (place * 31 % {patients}) * {tenants} + 1"),
            "provider_id": _key_of(f"(n % {{tenants}}) * 100 + 2 + place % {PROVIDERS}"),
            "location_id": _key_of("n % {tenants}"),
            "department_id": _key_of(f"(n % {{tenants}}) * 100 + place % {len(_DEPARTMENTS)}"),
            "starts_at": "start",
            "ends_at": "start + interval '30 minutes'",
            "status": (
                "CASE WHEN start > {now} THEN 'CONFIRMED' WHEN place % 12 = 5 THEN 'NO_SHOW' "
                "WHEN place % 15 = 7 THEN 'CANCELLED' ELSE 'COMPLETED' END"
            ),
            "created_at": "start - interval '3 days'",
        },
        f"""FROM generate_series(0, {{size}} / {MESSAGES_A_VISIT} - 1) AS n,
            LATERAL (SELECT n / {{tenants}} AS place) p,
            LATERAL (SELECT {{now}} - ({{size}} - n::bigint * {MESSAGES_A_VISIT}) * {{step}}
                            + interval '1 day' AS start) s""",
    )


# The fate of a message, in thousandths, by its channel: WhatsApp and email can be read, a text message cannot.
_STATUS = """CASE
    WHEN {size} - n <= {size} / 5000 THEN 'QUEUED'
    WHEN fate < 22 THEN 'SUPPRESSED' WHEN fate < 30 THEN 'CANCELLED' WHEN fate < 35 THEN 'EXPIRED'
    WHEN fate < 60 THEN 'FAILED' WHEN fate < 68 THEN 'BOUNCED' WHEN fate < 71 THEN 'UNCONFIRMED'
    WHEN fate < 100 THEN 'SENT'
    WHEN channel = 'WHATSAPP' AND fate < 700 THEN 'READ' WHEN channel = 'EMAIL' AND fate < 400 THEN 'READ'
    ELSE 'DELIVERED' END"""
_ROWS = f"""FROM generate_series(0, {{size}} - 1) AS n,
    LATERAL (SELECT n / {{tenants}} AS place, n % {{tenants}} AS tenant_no) p
    JOIN bench_slots USING (tenant_no)
    JOIN bench_slot slot ON slot.tenant = tenant_no AND slot.slot = (place::bigint * 7919) % bench_slots.count,
    LATERAL (SELECT (place::bigint * 104729 + 17) % 1000 AS fate, {{now}} - ({{size}} - n) * {{step}} AS moment,
                    n / ({{tenants}} * {MESSAGES_A_VISIT}) * {{tenants}} + tenant_no AS visit) f,
    LATERAL (SELECT tenant_no + (visit / {{tenants}} * 31 % {{patients}}) * {{tenants}} AS person) w,
    LATERAL (SELECT {_STATUS} AS status) s"""


def _messages() -> None:
    from notifications.models import Message

    was_sent = "status IN ('SENT', 'DELIVERED', 'READ', 'UNCONFIRMED', 'BOUNCED')"
    was_tried = f"({was_sent} OR status = 'FAILED')"
    values = {
        "id": _key_of("n + 1"),
        "tenant_id": _key_of("tenant_no"),
        "template_id": "slot.template",
        "template_version": "slot.version",
        "notification_type": "slot.type",
        "patient_id": _key_of("person + 1"),
        "object_type": f"CASE WHEN visit < {{size}} / {MESSAGES_A_VISIT} THEN 'appointments.appointment' ELSE '' END",
        "object_id": f"CASE WHEN visit < {{size}} / {MESSAGES_A_VISIT} THEN {_key_of('visit + 1')} END",
        "object_version": "1",
        "lane": "CASE WHEN slot.type = 'MARKETING' THEN 2 ELSE 1 END",
        "channel": "slot.channel",
        "recipient": (
            "CASE WHEN slot.channel = 'EMAIL' THEN 'p' || person || '@patients.example' "
            "ELSE '+9665' || lpad(person::text, 8, '0') END"
        ),
        "sender": "CASE WHEN slot.channel = 'EMAIL' THEN 'care@year.example' ELSE 'AGDAR' END",
        "language": "CASE WHEN place % 4 = 0 THEN 'en' ELSE 'ar' END",
        "subject": "CASE WHEN slot.channel = 'EMAIL' THEN 'Your visit' ELSE '' END",
        "body": "'Dear patient, this is a reminder of your visit at Olaya Branch on Thursday 10:30. Visit ' || place",
        "status": "status",
        "reason": (
            "CASE status WHEN 'SUPPRESSED' THEN (ARRAY['no_contact', 'opt_out:channel', 'no_consent'])[1 + fate % 3] "
            "WHEN 'CANCELLED' THEN 'stale_version' WHEN 'EXPIRED' THEN 'past_due' "
            "WHEN 'BOUNCED' THEN 'contact_undeliverable' ELSE '' END"
        ),
        "provider": f"CASE WHEN {was_tried} THEN {_PROVIDER} ELSE '' END",
        "provider_message_id": f"CASE WHEN {was_sent} THEN 'SM' || lpad(to_hex(n), 32, '0') ELSE '' END",
        "attempt_count": f"CASE WHEN {was_tried} THEN 1 ELSE 0 END",
        "log_position": "4",
        "next_attempt_at": "CASE WHEN status = 'QUEUED' THEN {now} + interval '1 day' END",
        "conversation_id": _key_of("n + 1"),
        "cost": (
            f"CASE WHEN {was_sent} THEN (CASE slot.channel WHEN 'SMS' THEN 0.0575 WHEN 'WHATSAPP' THEN 0.0341 "
            "ELSE 0 END)::numeric(10, 5) END"
        ),
        "currency": f"CASE WHEN {was_sent} THEN 'SAR' ELSE '' END",
        "segments": "CASE WHEN slot.channel = 'SMS' THEN 2 ELSE 0 END",
        "error_code": "CASE WHEN status IN ('FAILED', 'BOUNCED') THEN (ARRAY['30003', '30005', '30008'])[1 + fate % 3] ELSE '' END",
        "error_message": "CASE WHEN status IN ('FAILED', 'BOUNCED') THEN 'Not reachable' ELSE '' END",
        "sent_at": f"CASE WHEN {was_sent} THEN moment + interval '2 seconds' END",
        "delivered_at": "CASE WHEN status IN ('DELIVERED', 'READ') THEN moment + interval '6 seconds' END",
        "read_at": "CASE WHEN status = 'READ' THEN moment + interval '11 minutes' END",
        "failed_at": "CASE WHEN status IN ('FAILED', 'BOUNCED') THEN moment + interval '4 seconds' END",
        "dedupe_key": "'year:' || n",
        "created_at": "moment",
        "updated_at": "moment + interval '6 seconds'",
    }
    with _bare(Message):
        _insert(Message, values, _ROWS)


_PROVIDER = "CASE slot.channel WHEN 'EMAIL' THEN 'smtp' WHEN 'SMS' THEN (ARRAY['twilio', 'unifonic'])[1 + place % 2] ELSE 'twilio' END"


def _attempts() -> None:
    """Of every fifth message that was handed to a provider: how long the call took, and what came of it."""
    from notifications.models import MessageAttempt

    values = {
        "id": "id",
        "tenant_id": "tenant_id",
        "message_id": "id",
        "number": "1",
        "provider": "provider",
        "lease_token": "id",
        "started_at": "created_at + interval '1 second'",
        "finished_at": "created_at + interval '1 second' + took * interval '1 millisecond'",
        "outcome": "CASE status WHEN 'FAILED' THEN 'transient' WHEN 'UNCONFIRMED' THEN 'ambiguous' ELSE 'accepted' END",
        "provider_message_id": "provider_message_id",
        "error_code": "CASE WHEN status = 'FAILED' THEN error_code ELSE '' END",
        "duration_ms": "took",
        "segments": "segments",
        "cost": "cost",
        "currency": "currency",
    }
    with _bare(MessageAttempt):
        _insert(
            MessageAttempt,
            values,
            """FROM (SELECT *, row_number() OVER () AS n FROM notifications_message
                     WHERE attempt_count > 0 AND substr(dedupe_key, 6)::bigint / {tenants} % 5 = 0
                       AND tenant_id BETWEEN {first_tenant} AND {last_tenant}) m,
               LATERAL (SELECT (80 + n * 7907 % 320 + CASE WHEN n % 40 = 0 THEN 1500 ELSE 0 END)::int AS took) t""",
        )


# --- statements ------------------------------------------------------------------------------------------------------


def _insert(model: type[Model], values: Mapping[str, str], source: str) -> None:
    """INSERT … SELECT. Columns without an expression get the default of their field; ``auto_now`` means now."""
    from django.db import connection

    columns, expressions, parameters = [], [], []
    for field in model._meta.concrete_fields:
        columns.append(f'"{field.column}"')
        if field.attname in values:
            expressions.append(_filled(values[field.attname]))
        else:
            is_time = getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)
            default = _SHAPE["now"] if is_time else field.get_default()
            expressions.append(f"%s::{field.db_type(connection)}")
            parameters.append(field.get_db_prep_save(default, connection))
    statement = f'INSERT INTO "{model._meta.db_table}" ({", ".join(columns)}) SELECT {", ".join(expressions)} '
    _run(statement + _filled(source), parameters)


def _filled(expression: str) -> str:
    """``{size}`` and the rest of the shape; a percent sign is doubled, because parameters stand beside it."""
    shape = {
        "tenants": _SHAPE["tenants"],
        "patients": _SHAPE["patients"],
        "size": _SHAPE["size"],
        "first_tenant": f"'{_key(0)}'",
        "last_tenant": f"'{_key(_SHAPE['tenants'] - 1)}'",
        "now": f"timestamptz '{_SHAPE['now'].isoformat()}'",
        "step": f"interval '{_SHAPE['step'].total_seconds():.6f} seconds'",
    }
    return expression.replace("%", "%%").format(**shape)


def _key(number: int) -> uuid.UUID:
    return uuid.UUID(int=_SHAPE["base"] + number + 1)


def _key_of(expression: str) -> str:
    """The SQL of ``_key``; people and rows of one table share no ids, those of two tables may."""
    return f"lpad(to_hex(({expression})::bigint + {_SHAPE['base'] + 1}), 32, '0')::uuid"


def _one_of(words: tuple[str, ...], place: str) -> str:
    listed = ", ".join(f"'{word}'" for word in words)
    return f"(ARRAY[{listed}])[1 + ({place}) % {len(words)}]"


@contextmanager
def _bare(model: type[Model]) -> Iterator[None]:
    """Without indexes and unique constraints while it is filled, and without foreign keys where the role may: built
    at the end they cost a third.
    """
    from django.db import DatabaseError, connection

    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'u'",
            [table],
        )
        constraints = cursor.fetchall()
        for name, _definition in constraints:
            cursor.execute(f'ALTER TABLE "{table}" DROP CONSTRAINT "{name}"')
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND indexname NOT IN "
            "(SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass)",
            [table, table],
        )
        indexes = cursor.fetchall()
        for name, _definition in indexes:
            cursor.execute(f'DROP INDEX "{name}"')
        # Only a superuser may; with the checks of foreign keys it takes longer.
        with suppress(DatabaseError):
            cursor.execute("SET session_replication_role = replica")
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("SET maintenance_work_mem = '512MB'")
    try:
        yield
    finally:
        with suppress(DatabaseError):
            _run("RESET session_replication_role")
        for _name, definition in indexes:
            _run(definition)
        for name, definition in constraints:
            _run(f'ALTER TABLE "{table}" ADD CONSTRAINT "{name}" {definition}')


def _run(statement: str, parameters: list[Any] | None = None) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
