"""Tells a tenant's admins, in their bell, that something of ours needs a person, and when it is over.

The words in both languages are here, because the bell keeps both. Each function runs inside the tenant's scope.
"""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Model
from django.utils import timezone, translation
from django.utils.translation import gettext

from core.models import Location
from notifications import events
from notifications.rendering import Words
from notifications.states import Channel, Lane, NotificationType
from notifications.wording import format_date, format_time

# The events' keys: something needs a person, and it is over.
BEGAN, OVER = "system.alert", "system.recovered"

_CHANNELS = {
    Channel.SMS: Words("SMS messages", "الرسائل النصية"),
    Channel.WHATSAPP: Words("WhatsApp messages", "رسائل واتساب"),
    Channel.EMAIL: Words("Emails", "رسائل البريد الإلكتروني"),
}
_PROVIDERS = {
    "twilio": Words("Twilio", "مزود الخدمة Twilio"),
    "unifonic": Words("Unifonic", "مزود الخدمة Unifonic"),
    "smtp": Words("The mail server", "خادم البريد"),
    "sandbox": Words("The sandbox", "مزود التجربة"),
}
_LANES = {
    Lane.URGENT: Words("Urgent messages", "الرسائل العاجلة"),
    Lane.TRANSACTIONAL: Words("Messages", "الرسائل"),
    Lane.BULK: Words("Messages to many at once", "الرسائل الجماعية"),
}
_CALL_SUPPORT = Words("Please call the support of this system.", "يُرجى الاتصال بدعم هذا النظام.")


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a provider: it is down, or (``is_refusal``) it refuses our account or one of our senders.

    ``code`` is the provider's own, ``detail`` our sentence for it as it stands in the catalogue. ``stand_in`` is the
    provider that takes over; empty: the messages wait.
    """

    provider: str
    channel: str
    sender: str
    is_refusal: bool
    code: str
    detail: str
    stand_in: str
    began_at: dt.datetime
    ended_at: dt.datetime | None


def trouble_began(*, tenant_id: uuid.UUID, incident: Model, trouble: Trouble) -> None:
    """What is down or refused, since when, what becomes of the messages, what to do."""
    name, what, other = _provider(trouble.provider), _CHANNELS[Channel(trouble.channel)], _provider(trouble.stand_in)
    if trouble.is_refusal and trouble.sender:
        what = Words(f"{what.en} of the sender “{trouble.sender}”", f"{what.ar} باسم المرسل «{trouble.sender}»")
        fault = Words(f"{_inside(name.en)} refuses the sender", f"{name.ar} يرفض هذا المرسل")
    elif trouble.is_refusal:
        fault = Words(f"{_inside(name.en)} refuses our account", f"{name.ar} يرفض حسابنا")
    else:
        fault = Words(f"{_inside(name.en)} is down", f"{name.ar} متوقف")
    if trouble.stand_in:
        title = Words(
            f"{what.en} go over {_inside(other.en)}: {fault.en}", f"{what.ar} تُرسل عبر {other.ar}: {fault.ar}"
        )
        fate = Words(
            f"Your messages go over {_inside(other.en)} meanwhile.", f"تُرسل رسائلكم في هذه الأثناء عبر {other.ar}."
        )
    else:
        title = Words(f"{what.en} are waiting: {fault.en}", f"{what.ar} في الانتظار: {fault.ar}")
        fate = Words(
            "Your messages wait and go by themselves as soon as it works again. Those that are too late by then are not "
            "sent, and you will get a summary.",
            "رسائلكم في الانتظار وستُرسل تلقائيًا فور زوال العطل. أما التي يفوت أوانها قبل ذلك فلن تُرسل، وسيصلكم ملخص بها.",
        )
    _tell(
        BEGAN,
        tenant_id=tenant_id,
        incident=incident,
        phase="began",
        title=title,
        text=_join(_what_happened(trouble, name), fate, _what_to_do(trouble, name)),
    )


def trouble_over(*, tenant_id: uuid.UUID, incident: Model, trouble: Trouble) -> None:
    """It works again: from when to when it did not."""
    name, what = _provider(trouble.provider), _CHANNELS[Channel(trouble.channel)]
    span = _span(trouble.began_at, trouble.ended_at or timezone.now())
    if trouble.is_refusal and trouble.sender:
        title = Words(
            f"{what.en}: {_inside(name.en)} accepts the sender “{trouble.sender}” again",
            f"{what.ar}: {name.ar} يقبل المرسل «{trouble.sender}» من جديد",
        )
        text = Words(f"It refused the sender {span.en}.", f"رُفض هذا المرسل {span.ar}.")
    elif trouble.is_refusal:
        title = Words(
            f"{what.en}: {_inside(name.en)} accepts our account again", f"{what.ar}: {name.ar} يقبل حسابنا من جديد"
        )
        text = Words(f"It refused our account {span.en}.", f"رُفض حسابنا {span.ar}.")
    else:
        title = Words(f"{what.en}: {_inside(name.en)} works again", f"{what.ar}: {name.ar} يعمل من جديد")
        text = Words(f"It was down {span.en}.", f"كان متوقفًا {span.ar}.")
    rest = Words("What was waiting is being sent now.", "تُرسل الآن الرسائل التي كانت في الانتظار.")
    _tell(
        OVER,
        tenant_id=tenant_id,
        incident=incident,
        phase="over",
        title=title,
        text=_join(text, rest),
    )


def messages_expired(
    *,
    tenant_id: uuid.UUID,
    incident: Model,
    kinds: Iterable[tuple[str, str, int]],
    span: tuple[dt.datetime, dt.datetime],
) -> None:
    """The summary of messages that became too late. ``kinds`` are (notification type, channel, count)."""
    lines: dict[str, list[str]] = {"en": [], "ar": []}
    total = 0
    for notification_type, channel, count in kinds:
        total += count
        for language, found in lines.items():
            with translation.override(language):
                found.append(f"{NotificationType(notification_type).label} ({Channel(channel).label}): {count:,}")
    when = _span(*span)
    is_one = total == 1
    _tell(
        BEGAN,
        tenant_id=tenant_id,
        incident=incident,
        phase="over",
        title=Words(
            "1 message was too late and was not sent"
            if is_one
            else f"{total:,} messages were too late and were not sent",
            f"رسائل فات أوانها ولم تُرسل: {total:,}",
        ),
        text=_join(
            Words(
                f"Their time had passed before they could be sent, {when.en}.",
                f"لم يكن إرسالها ممكنًا قبل فوات أوانها، {when.ar}.",
            ),
            Words("; ".join(lines["en"]) + ".", "؛ ".join(lines["ar"]) + "."),
            Words(
                "The people they were for have not been told: please call where it matters.",
                "لم تصل إلى أصحابها: يُرجى الاتصال بهم حيث يلزم.",
            ),
        ),
    )


def settings_refuse(*, tenant_id: uuid.UUID, incident: Model, channel: str, code: str, detail: str) -> None:
    """The channel is not set up (no ``detail``), or the provider refuses messages for a reason in our set-up."""
    what = _CHANNELS[Channel(channel)]
    if detail:
        title = Words(f"{what.en}: some are refused", f"{what.ar}: بعضها مرفوض")
        text = _join(
            Words(
                f"The provider refuses them because of our settings (code {code}).",
                f"مزود الخدمة يرفضها بسبب إعداداتنا (الرمز {code}).",
            ),
            _translated(detail),
        )
    else:
        title = Words(f"{what.en} are not being sent", f"{what.ar} لا تُرسل")
        text = Words("This channel is not set up.", "هذه القناة غير معدّة.")
    _tell(BEGAN, tenant_id=tenant_id, incident=incident, phase="began", title=title, text=text)


def settings_refuse_no_more(
    *, tenant_id: uuid.UUID, incident: Model, channel: str, span: tuple[dt.datetime, dt.datetime]
) -> None:
    """None is refused for that reason any more."""
    what, when = _CHANNELS[Channel(channel)], _span(*span)
    _tell(
        OVER,
        tenant_id=tenant_id,
        incident=incident,
        phase="over",
        title=Words(f"{what.en}: no more are refused", f"{what.ar}: لم يعد يُرفض منها شيء"),
        text=Words(f"Some were refused because of our settings {when.en}.", f"رُفض بعضها بسبب إعداداتنا {when.ar}."),
    )


def queue_is_late(*, tenant_id: uuid.UUID, incident: Model, lane: Lane, since: dt.datetime) -> None:
    """Messages of a lane have been due for too long, and no provider is to blame."""
    what, when = _LANES[lane], _moment(since, _zone())
    _tell(
        BEGAN,
        tenant_id=tenant_id,
        incident=incident,
        phase="began",
        title=Words(f"{what.en} have been waiting too long", f"{what.ar} تنتظر منذ وقت طويل"),
        text=_join(
            Words(
                f"The first of them should have gone at {when.en}. The providers are working.",
                f"كان ينبغي إرسال أولها في {when.ar}. مزودو الخدمة يعملون.",
            ),
            _CALL_SUPPORT,
        ),
    )


def queue_moves_again(
    *, tenant_id: uuid.UUID, incident: Model, lane: Lane, span: tuple[dt.datetime, dt.datetime]
) -> None:
    """What waited too long has gone, or is of no more use."""
    what, when = _LANES[lane], _span(*span)
    _tell(
        OVER,
        tenant_id=tenant_id,
        incident=incident,
        phase="over",
        title=Words(f"{what.en} go on time again", f"{what.ar} تُرسل في وقتها من جديد"),
        text=Words(f"Some waited {when.en}.", f"انتظر بعضها {when.ar}."),
    )


def events_wait(*, tenant_id: uuid.UUID, incident: Model, since: dt.datetime) -> None:
    """Things that happened are not turned into messages and notifications."""
    when = _moment(since, _zone())
    _tell(
        BEGAN,
        tenant_id=tenant_id,
        incident=incident,
        phase="began",
        title=Words("Messages are not being prepared", "الرسائل لا تُحضَّر للإرسال"),
        text=_join(
            Words(
                f"What has happened since {when.en} has not been told to everybody: messages and notifications may be "
                "missing.",
                f"ما حدث منذ {when.ar} لم يُبلَّغ به الجميع: قد تكون هناك رسائل وإشعارات ناقصة.",
            ),
            _CALL_SUPPORT,
        ),
    )


def events_move_again(*, tenant_id: uuid.UUID, incident: Model, span: tuple[dt.datetime, dt.datetime]) -> None:
    when = _span(*span)
    _tell(
        OVER,
        tenant_id=tenant_id,
        incident=incident,
        phase="over",
        title=Words("Messages are being prepared again", "الرسائل تُحضَّر للإرسال من جديد"),
        text=Words(f"What happened {when.en} was told late.", f"ما حدث {when.ar} جرى التبليغ به متأخرًا."),
    )


def clock_is_silent(*, tenant_id: uuid.UUID, incident: Model, since: dt.datetime) -> None:
    """Nothing that is to happen at its time happens: reminders, next tries, the questions to the providers."""
    when = _moment(since, _zone())
    _tell(
        BEGAN,
        tenant_id=tenant_id,
        incident=incident,
        phase="began",
        title=Words(
            "Reminders are not being sent: the clock of the system stands still",
            "التذكيرات لا تُرسل: ساعة النظام متوقفة",
        ),
        text=_join(
            Words(
                f"It has given no sign since {when.en}. Reminders, next tries and other work of the clock wait until it "
                "runs again. New messages still go.",
                f"لم تصدر عنها أي إشارة منذ {when.ar}. التذكيرات وإعادة المحاولات وسائر الأعمال المجدولة تنتظر حتى تعود "
                "إلى العمل. أما الرسائل الجديدة فلا تزال تُرسل.",
            ),
            _CALL_SUPPORT,
        ),
    )


def clock_ticks_again(*, tenant_id: uuid.UUID, incident: Model, span: tuple[dt.datetime, dt.datetime]) -> None:
    when = _span(*span)
    _tell(
        OVER,
        tenant_id=tenant_id,
        incident=incident,
        phase="over",
        title=Words("Reminders are being sent again", "التذكيرات تُرسل من جديد"),
        text=Words(
            f"The clock of the system stood still {when.en}. What was waiting for it is being done now.",
            f"كانت ساعة النظام متوقفة {when.ar}. ويجري الآن ما كان ينتظرها.",
        ),
    )


# --- Words -----------------------------------------------------------------------------------------------------------


def _what_happened(trouble: Trouble, name: Words) -> Words:
    since = _moment(trouble.began_at, _zone())
    if not trouble.is_refusal:
        return Words(
            f"{name.en} has not been answering as it should since {since.en}.",
            f"{name.ar} لا يستجيب كما ينبغي منذ {since.ar}.",
        )
    whom = Words(f"the sender “{trouble.sender}”", f"المرسل «{trouble.sender}»")
    if not trouble.sender:
        whom = Words("our account or settings", "حسابنا أو إعداداتنا")
    why = _translated(trouble.detail)
    return _join(
        Words(
            f"{name.en} has been refusing {whom.en} since {since.en} (code {trouble.code}).",
            f"{name.ar} يرفض {whom.ar} منذ {since.ar} (الرمز {trouble.code}).",
        ),
        why,
    )


def _what_to_do(trouble: Trouble, name: Words) -> Words:
    if not trouble.is_refusal:
        return Words("You need not do anything.", "لا يلزمكم فعل شيء.")
    if trouble.sender:
        return Words(
            f"Please make sure that {_inside(name.en)} has this sender registered for you, or call the support of this "
            "system and name the code. Your other senders are not affected.",
            f"يُرجى التأكد من أن هذا المرسل مسجل لكم لدى {name.ar}، أو الاتصال بدعم هذا النظام وذكر الرمز. "
            "لا يتأثر المرسلون الآخرون لديكم.",
        )
    return Words(
        "Please call the support of this system and name the provider and the code.",
        "يُرجى الاتصال بدعم هذا النظام وذكر اسم المزود والرمز.",
    )


def _provider(name: str) -> Words:
    # Of a clinic group's own account (twilio@4f9a0c21de) the provider.
    name = name.partition("@")[0]
    return _PROVIDERS.get(name, Words(name, f"مزود الخدمة {name}"))


def _inside(name: str) -> str:
    """Within an English sentence: “the mail server”."""
    return f"the{name[3:]}" if name.startswith("The ") else name


def _translated(sentence: str) -> Words:
    """A sentence of the catalogue in both languages."""
    found = {}
    for language in ("en", "ar"):
        with translation.override(language):
            found[language] = gettext(sentence) if sentence else ""
    return Words(found["en"], found["ar"])


def _join(*sentences: Words) -> Words:
    return Words(
        " ".join(filter(None, (one.en for one in sentences))), " ".join(filter(None, (one.ar for one in sentences)))
    )


def counts_were_mended(*, tenant_id: uuid.UUID, days: int, first: dt.date) -> None:
    """The nightly check of the numbers found some that were not those of the rows, and has put them right."""
    since = Words(format_date(first, "en"), format_date(first, "ar"))
    title = Words("Some figures of past days were put right", "صُححت بعض أرقام أيام سابقة")
    text = Words(
        f"The figures of {days} day(s), the first of them {since.en}, did not match the messages and were counted "
        "again. Nothing is wrong with the messages themselves.",
        f"أرقام {days} من الأيام، أولها {since.ar}، لم تطابق الرسائل فأُعيد حسابها. لا خلل في الرسائل نفسها.",
    )
    events.record(
        "system.counts", tenant_id=tenant_id, dedupe=f"{timezone.now():%Y-%m-%d}", payload=_payload(title, text)
    )


# --- Times -----------------------------------------------------------------------------------------------------------


def _moment(at: dt.datetime, zone: zoneinfo.ZoneInfo) -> Words:
    """“10:15 AM on Monday 23 November 2026”."""
    there = at.astimezone(zone)
    return Words(
        f"{format_time(there.time(), 'en')} on {format_date(there.date(), 'en')}",
        f"{format_time(there.time(), 'ar')} يوم {format_date(there.date(), 'ar')}",
    )


def _span(start: dt.datetime, end: dt.datetime) -> Words:
    """The day once when both are on it."""
    zone = _zone()
    first, last = _moment(start, zone), _moment(end, zone)
    there = start.astimezone(zone)
    if there.date() == end.astimezone(zone).date():
        first = Words(format_time(there.time(), "en"), format_time(there.time(), "ar"))
    return Words(f"from {first.en} to {last.en}", f"من {first.ar} إلى {last.ar}")


def _zone() -> zoneinfo.ZoneInfo:
    """The clock of the tenant's first location."""
    location = Location.objects.order_by("pk").first()
    return location.zone if location is not None else zoneinfo.ZoneInfo(settings.TIME_ZONE)


# --- The event -------------------------------------------------------------------------------------------------------


def _tell(key: str, *, tenant_id: uuid.UUID, incident: Model, phase: str, title: Words, text: Words) -> None:
    events.record(
        key,
        tenant_id=tenant_id,
        dedupe=f"incident:{incident.pk}:{phase}",
        obj=incident,
        payload=_payload(title, text),
    )


def _payload(title: Words, text: Words) -> dict[str, str]:
    return {"title_en": title.en, "title_ar": title.ar, "text_en": text.en, "text_ar": text.ar}
