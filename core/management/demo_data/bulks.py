"""Bulk sends in the middle of their life: one that is over, one that waits for a second person, one for tomorrow.

The services write them, as two admins would; so the rules hold here too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from core.management.demo_data.build import Build
from core.models import Role
from integrations.bulk import audience, control, run
from notifications import lifecycle, message_classes
from notifications.bulk_states import BulkSource, MessageClass
from notifications.lifecycle import Move
from notifications.models import BulkSend, Message
from notifications.states import Status

_SATURDAY = {
    "body_en": "{patient_name}: from this week on {clinic_name} is open on Saturdays too, from 9:00 to 14:00.",
    "body_ar": "{patient_name}: ابتداءً من هذا الأسبوع تستقبلكم {clinic_name} يوم السبت أيضًا، من 9:00 إلى 14:00.",
}
_FLU = {
    "body_en": "{patient_name}: protect yourself before winter. The flu vaccine is here, no appointment needed. {clinic_name}",
    "body_ar": "{patient_name}: احمِ نفسك قبل الشتاء. لقاح الإنفلونزا متوفر لدينا دون موعد. {clinic_name}",
}
_PARKING = {
    "body_en": "{patient_name}: the car park of {clinic_name} is closed tomorrow. Please use the street behind.",
    "body_ar": "{patient_name}: موقف {clinic_name} مغلق غدًا. يرجى استخدام الشارع الخلفي.",
}


def build_bulks(build: Build) -> None:
    author = build.staff(Role.ADMIN)[0]
    # Forty patients are a small clinic: there a second person decides sooner.
    message_classes.rule_set(
        actor=author,
        message_class=MessageClass.AWARENESS,
        opens_at=dt.time(9),
        closes_at=dt.time(21),
        approval_above=20,
    )
    over = _checked(build, "Open on Saturdays", MessageClass.SERVICE, _SATURDAY)
    control.submit(actor=author, bulk=over)
    run.advance(build.tenant.pk, over.pk)
    _deliver(over)
    run.advance(build.tenant.pk, over.pk)
    flu = _checked(build, "Flu vaccine", MessageClass.AWARENESS, _FLU)
    control.submit(actor=author, bulk=flu, useful_hours=72)
    parking = _checked(build, "Car park closed", MessageClass.SERVICE, _PARKING)
    tomorrow = build.at(build.now.astimezone(build.zone).date() + dt.timedelta(days=1), dt.time(10))
    control.submit(actor=author, bulk=parking, scheduled_at=tomorrow, useful_hours=24)


def _checked(build: Build, name: str, message_class: str, texts: Mapping[str, str]) -> BulkSend:
    author = build.staff(Role.ADMIN)[0]
    bulk = control.draft(
        actor=author, name=name, source=BulkSource.FILTERS, message_class=message_class, people=audience.patients()
    )
    control.words_set(actor=author, bulk=bulk, texts=texts, channel="SMS")
    control.check(actor=author, bulk=bulk)
    return bulk


def _deliver(bulk: BulkSend) -> None:
    """As if the provider had reported on all of it: one number was dead."""
    keys = list(Message.objects.filter(bulk=bulk, status=Status.QUEUED).order_by("pk").values_list("pk", flat=True))
    dead = keys[len(keys) // 2]
    lifecycle.move_many([Move(key, Status.SENDING, fields={"next_attempt_at": None}) for key in keys])
    lifecycle.move_many(
        [Move(key, Status.SENT, fields={"provider": "sandbox", "provider_message_id": f"SM{key.hex}"}) for key in keys]
    )
    reports = [Move(key, Status.DELIVERED) for key in keys if key != dead]
    lifecycle.move_many([*reports, Move(dead, Status.BOUNCED, fields={"error_code": "30005"})])
