"""Registry entries of messaging itself: a reply, a message that reached nobody, what the system says to its admins."""

from __future__ import annotations

import datetime as dt

from core.models import Role, User
from notifications import desk_tasks, undeliverable
from notifications.models import InboundMessage, NotificationEvent
from notifications.registry import Audience, Bell, Delivery, EventType, Slot, Subject
from notifications.rendering import Words
from notifications.states import Category, Level, NotificationType, TaskKind


def _staff(role: Role) -> list[User]:
    return list(User.objects.filter(role=role, is_active=True))


def _words_of(reply: InboundMessage) -> str:
    """The beginning of what was written. A picture comes without words, and blanks are none: a bell needs some."""
    return " ".join(reply.body.split())[:300] or "…"


def _describe_reply(event: NotificationEvent) -> Subject:
    reply = InboundMessage.objects.select_related("patient").get(pk=event.payload["reply_id"])
    return Subject(
        context={"patient_name": reply.patient, "text": _words_of(reply)},
        fold_key=f"patient:{reply.patient_id}" if reply.patient_id else f"reply:{reply.pk}",
        users={Audience.FRONT_DESK: _staff(Role.FRONT_DESK)},
    )


def _describe_emergency(event: NotificationEvent) -> Subject:
    """Answered once its task is done: somebody has called."""
    reply = InboundMessage.objects.select_related("patient").get(pk=event.payload["reply_id"])
    about = desk_tasks.open_about(event.object_id, [TaskKind.EMERGENCY]) if event.object_id else None
    return Subject(
        context={"patient_name": reply.patient, "text": _words_of(reply)},
        fold_key=f"emergency:{event.object_id}",
        users={Audience.FRONT_DESK: _staff(Role.FRONT_DESK) or _staff(Role.ADMIN)},
        is_answered=about is not None and not about.exists(),
    )


def _describe_alert(event: NotificationEvent) -> Subject:
    words = event.payload
    return Subject(
        context={
            "title": Words(words["title_en"], words["title_ar"]),
            "text": Words(words["text_en"], words["text_ar"]),
        },
        users={Audience.ADMIN: _staff(Role.ADMIN)},
    )


def _to_admins(
    key: str, names: tuple[str, str], level: Level, *, is_critical: bool = False, **example: Words
) -> EventType:
    """What the system has to say of itself: the words come with the event."""
    bell = Bell(
        title_en="{title}",
        title_ar="{title}",
        body_en="{text}",
        body_ar="{text}",
        level=level,
        category=Category.SYSTEM,
        is_critical=is_critical,
    )
    return EventType(
        key=key,
        name_en=names[0],
        name_ar=names[1],
        notification_type=NotificationType.STAFF,
        deliveries=(Delivery(Audience.ADMIN, (Slot.IN_APP,), bell=bell),),
        describe=_describe_alert,
        example=example,
    )


ENTRIES = (
    EventType(
        key="message.reply_received",
        name_en="Reply from a patient",
        name_ar="رد من مريض",
        notification_type=NotificationType.STAFF,
        deliveries=(
            Delivery(
                Audience.FRONT_DESK,
                (Slot.IN_APP,),
                bell=Bell(
                    title_en="{patient_name} has replied",
                    title_ar="رد جديد من {patient_name}",
                    body_en="“{text}”",
                    body_ar="«{text}»",
                    category=Category.MESSAGING,
                    # People write in several short messages.
                    fold_within=dt.timedelta(minutes=15),
                ),
            ),
        ),
        describe=_describe_reply,
        example={"patient_name": Words("Sara Al-Mutairi", "سارة المطيري"), "text": "شكرًا"},
    ),
    EventType(
        key="message.emergency",
        name_en="Words of danger from a patient",
        name_ar="كلمات خطر من مراجع",
        notification_type=NotificationType.STAFF,
        deliveries=(
            Delivery(
                Audience.FRONT_DESK,
                (Slot.IN_APP,),
                bell=Bell(
                    title_en="{patient_name} may be in danger: call now",
                    title_ar="{patient_name}: قد تكون هناك حالة خطر، نرجو الاتصال الآن",
                    body_en="“{text}”",
                    body_ar="«{text}»",
                    level=Level.ERROR,
                    category=Category.MESSAGING,
                    is_critical=True,
                    # Somebody in distress writes several messages.
                    fold_within=dt.timedelta(minutes=15),
                ),
            ),
        ),
        describe=_describe_emergency,
        example={"patient_name": Words("Sara Al-Mutairi", "سارة المطيري"), "text": "أحتاج إلى إسعاف"},
    ),
    EventType(
        key=undeliverable.KEY,
        name_en="Message that reached nobody",
        name_ar="رسالة لم تصل إلى أحد",
        notification_type=NotificationType.STAFF,
        deliveries=(
            Delivery(
                Audience.FRONT_DESK,
                (Slot.IN_APP,),
                bell=Bell(
                    title_en="A message to {patient_name} reached nobody",
                    title_ar="رسالة إلى {patient_name} لم تصل إلى أحد",
                    body_en="{kind} ({channel}): {reason}. Please call where it matters, and put the contact details right.",
                    body_ar="{kind} ({channel}): {reason}. يُرجى الاتصال حيث يلزم وتصحيح بيانات التواصل.",
                    level=Level.WARNING,
                    category=Category.MESSAGING,
                    fold_within=dt.timedelta(hours=1),
                ),
            ),
        ),
        describe=undeliverable.describe,
        refusal=undeliverable.refusal_now,
        example={
            "patient_name": Words("Sara Al-Mutairi", "سارة المطيري"),
            "kind": Words("Appointment reminder", "تذكير بموعد"),
            "channel": Words("SMS", "رسالة نصية"),
            "reason": Words("The address cannot be reached", "تعذّر الوصول إلى العنوان"),
        },
    ),
    _to_admins(
        "system.alert",
        ("System alert", "تنبيه من النظام"),
        Level.ERROR,
        is_critical=True,
        title=Words("SMS is not being sent", "الرسائل النصية لا تُرسل"),
        text=Words("The provider refuses our account.", "مزود الخدمة يرفض حسابنا."),
    ),
    _to_admins(
        "system.counts",
        ("Figures put right", "تصحيح الأرقام"),
        Level.WARNING,
        title=Words("Some figures of past days were put right", "صُححت بعض أرقام أيام سابقة"),
        text=Words("They did not match the messages.", "لم تطابق الرسائل."),
    ),
    _to_admins(
        "system.recovered",
        ("System works again", "عودة النظام إلى العمل"),
        Level.SUCCESS,
        title=Words("SMS is being sent again", "الرسائل النصية تُرسل من جديد"),
        text=Words("The provider accepts our account again.", "مزود الخدمة يقبل حسابنا من جديد."),
    ),
)
