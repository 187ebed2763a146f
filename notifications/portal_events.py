"""The words with which a patient's sign-in code is sent, and those that tell of an answered request about their data."""

from __future__ import annotations

import datetime as dt
import uuid

from core.contacts import GUARDIAN_BLOCKED, Contact, contact_for, guardian_contact
from core.models import Guardianship, RightsKind, RightsRequest, RightsState
from core.portal_links import portal_address
from notifications.models import NotificationEvent
from notifications.registry import Audience, Delivery, EventType, Slot, Subject
from notifications.registry import Words as Text
from notifications.rendering import Code, Link, Words
from notifications.states import Channel, Lane, NotificationType, Reason

CODE_KEY = "portal.code"
ANSWERED_KEY = "rights.answered"
# What stands in the message instead of the code, which no row but the sealed one ever holds. As long as the code, of
# letters that an SMS counts singly.
MASK = "******"

_KINDS = {
    RightsKind.EXPORT: Words("a copy of the data", "نسخة من البيانات"),
    RightsKind.CORRECTION: Words("a correction", "تصحيح البيانات"),
    RightsKind.ERASURE: Words("erasure of the data", "حذف البيانات"),
}


def _describe_code(_event: NotificationEvent) -> Subject:
    """Never recorded as an event: the worker that makes the code writes the message itself. Here for the words only."""
    return Subject(context={}, refusal=Reason.STATUS_NOT_ELIGIBLE)


def _request_of(event: NotificationEvent) -> RightsRequest | None:
    if event.object_id is None:
        return None
    rows = RightsRequest.objects.select_related("patient__tenant", "patient__user")
    return rows.filter(pk=event.object_id).first()


def _asker(event: NotificationEvent) -> Contact | str | None:
    """Who asked is told, and nobody else who reads about the child: parents may have parted."""
    request = _request_of(event)
    kind, _colon, key = request.asked_by.partition(":") if request is not None else ("", "", "")
    if request is None or kind != "guardian":
        return None
    rows = Guardianship.objects.filter(patient=request.patient, guardian=uuid.UUID(key))
    guardianship = rows.select_related("guardian", "patient__tenant").first()
    return guardian_contact(guardianship) if guardianship is not None else GUARDIAN_BLOCKED


def _describe_answer(event: NotificationEvent) -> Subject:
    request = _request_of(event)
    if request is None:
        return Subject(context={}, refusal=Reason.STATUS_NOT_ELIGIBLE)
    patient = request.patient
    asker = _asker(event)
    contact = asker or contact_for(patient)
    return Subject(
        context={
            "patient_name": patient,
            "recipient_name": contact if isinstance(contact, Contact) else patient,
            "clinic_name": patient.tenant,
            "request": _KINDS[RightsKind(request.kind)],
            "link": Link(portal_address()),
        },
        patient=patient,
        reader=asker,
        useful_until=event.created_at + dt.timedelta(days=7),
        # Who was erased has no address any more, and a request that was withdrawn has no answer.
        refusal=None if request.state in (RightsState.DONE, RightsState.REFUSED) else Reason.STATUS_NOT_ELIGIBLE,
    )


ENTRIES = (
    EventType(
        key=CODE_KEY,
        name_en="Code for the patient's own view",
        name_ar="رمز الدخول إلى صفحة المريض",
        notification_type=NotificationType.GENERAL,
        lane=Lane.URGENT,
        deliveries=(
            Delivery(
                Audience.PATIENT,
                (Slot.PREFERRED,),
                (
                    Text(
                        Channel.SMS,
                        body_en="{clinic_name}: {code} is your sign-in code. It works for 10 minutes. Do not share it.",
                        body_ar="{clinic_name}: رمز الدخول {code} صالح لمدة 10 دقائق. نرجو عدم مشاركته مع أحد.",
                    ),
                    Text(
                        Channel.WHATSAPP,
                        body_en="{clinic_name}: {code} is your sign-in code. It works for 10 minutes. Do not share it.",
                        body_ar="{clinic_name}: رمز الدخول {code} صالح لمدة 10 دقائق. نرجو عدم مشاركته مع أحد.",
                    ),
                    Text(
                        Channel.EMAIL,
                        subject_en="Your sign-in code",
                        subject_ar="رمز الدخول",
                        body_en="Hello,\n\n{code} is your sign-in code. It works for 10 minutes. Do not share it.\n\n"
                        "If you did not ask for it, you need not do anything.\n\n{clinic_name}",
                        body_ar="مرحبًا،\n\nرمز الدخول: {code}\n\nالرمز صالح لمدة 10 دقائق. نرجو عدم مشاركته مع أحد.\n\n"
                        "إن لم تكن هذه المحاولة من طرفكم فلا يلزم أي إجراء.\n\n{clinic_name}",
                    ),
                ),
            ),
        ),
        describe=_describe_code,
        example={"clinic_name": Words("Noor Clinics", "عيادات النور"), "code": Code("493027")},
    ),
    EventType(
        key=ANSWERED_KEY,
        name_en="Answer to a request about data",
        name_ar="الرد على طلب يخص البيانات",
        notification_type=NotificationType.GENERAL,
        deliveries=(
            Delivery(
                Audience.PATIENT,
                (Slot.PREFERRED,),
                (
                    Text(
                        Channel.SMS,
                        body_en="{clinic_name}: your request ({request}) was answered. Read the answer: {link}",
                        body_ar="{clinic_name}: تم الرد على طلبكم ({request}). للاطلاع على الرد: {link}",
                    ),
                    Text(
                        Channel.WHATSAPP,
                        body_en="Hello {recipient_name},\nyour request ({request}) for {patient_name} was answered.\n\n"
                        "Read the answer: {link}\n{clinic_name}",
                        body_ar="مرحبًا {recipient_name}،\nتم الرد على طلبكم ({request}) بخصوص {patient_name}.\n\n"
                        "للاطلاع على الرد: {link}\n{clinic_name}",
                    ),
                    Text(
                        Channel.EMAIL,
                        subject_en="Your request was answered",
                        subject_ar="تم الرد على طلبكم",
                        body_en="Dear {recipient_name},\n\nyour request ({request}) for {patient_name} was answered. You find"
                        " the answer, and the copy if you asked for one, here:\n\n{link}\n\nWarm regards,\n{clinic_name}",
                        body_ar="مرحبًا {recipient_name}،\n\nتم الرد على طلبكم ({request}) بخصوص {patient_name}. يمكن الاطلاع"
                        " على الرد، وعلى النسخة إن طُلبت، من هنا:\n\n{link}\n\nمع أطيب التحيات،\n{clinic_name}",
                    ),
                ),
            ),
        ),
        describe=_describe_answer,
        reader=_asker,
        example={
            "patient_name": Words("Sara Al-Mutairi", "سارة المطيري"),
            "recipient_name": Words("Huda Al-Rashid", "هدى الراشد"),
            "clinic_name": Words("Noor Clinics", "عيادات النور"),
            "request": _KINDS[RightsKind.EXPORT],
            "link": Link("https://agdar.example/me"),
        },
    ),
)
