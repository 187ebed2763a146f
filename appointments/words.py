"""The words a new clinic group starts with: messages and bell lines of the appointment events, in both languages.

Patients' texts name neither department nor specialty: a phone lies on the table. SMS never ask for a reply (senders with
a name cannot get one, and carriers take CANCEL for an unsubscription): they carry a link or a phone number. Arabic
uses the polite plural, which fits men and women alike. An Arabic SMS stays within three parts with usual names.
"""

from __future__ import annotations

import datetime as dt

from notifications import registry
from notifications.registry import Bell, Words
from notifications.states import Category, Channel, Level

letter = registry.letter

_DETAILS_EN = """Date: {date}
Time: {time}
With: {provider_name}
Place: {clinic_name}, {location_name}
Number: {number}"""
_DETAILS_AR = """التاريخ: {date}
الوقت: {time}
مع: {provider_name}
المكان: {clinic_name}، {location_name}
رقم الموعد: {number}"""
_STAFF_DETAILS_EN = """Patient: {patient_name}
Date: {date}
Time: {time}
Provider: {provider_name}
Place: {location_name}
Number: {number}"""
_STAFF_DETAILS_AR = """المراجع: {patient_name}
التاريخ: {date}
الوقت: {time}
مقدم الخدمة: {provider_name}
المكان: {location_name}
رقم الموعد: {number}"""


def sms(en: str, ar: str) -> Words:
    return Words(Channel.SMS, body_en=en, body_ar=ar)


def whatsapp(en: str, ar: str) -> Words:
    """A little richer than SMS: WhatsApp sets *starred* text in bold."""
    return Words(Channel.WHATSAPP, body_en=en, body_ar=ar)


def staff_letter(subject_en: str, subject_ar: str, en: str, ar: str) -> Words:
    """An email to a member of staff: what happened, and the visit."""
    return Words(
        Channel.EMAIL,
        subject_en=subject_en,
        subject_ar=subject_ar,
        body_en=f"Hello,\n\n{en}\n\n{_STAFF_DETAILS_EN}\n\n{{clinic_name}}",
        body_ar=f"مرحبًا،\n\n{ar}\n\n{_STAFF_DETAILS_AR}\n\n{{clinic_name}}",
    )


NEW_EMAIL = staff_letter(
    "New appointment: {date}, {time}",
    "موعد جديد: {date}، {time}",
    "A new appointment is in your calendar.",
    "أُضيف موعد جديد إلى جدولكم.",
)
NEW_BELL = Bell(
    title_en="New appointment: {patient_name}",
    title_ar="موعد جديد: {patient_name}",
    body_en="{date}, {time}, {location_name}",
    body_ar="{date}، {time}، {location_name}",
    category=Category.APPOINTMENT,
)

BOOKED = (
    sms(
        "{clinic_name}: appointment for {patient_name} on {date} at {time}, {location_name}."
        " Please confirm or cancel here: {link}",
        "{clinic_name}: موعد {patient_name} يوم {date} الساعة {time}، {location_name}. نرجو التأكيد أو الإلغاء: {link}",
    ),
    whatsapp(
        "Hello {recipient_name},\nan appointment has been booked for {patient_name}:\n\n"
        "*{date}, {time}*\nWith {provider_name}\n{clinic_name}, {location_name}\n\n"
        "Please confirm or cancel here:\n{link}",
        "مرحبًا {recipient_name}،\nتم حجز موعد باسم {patient_name}:\n\n"
        "*{date}، {time}*\nمع {provider_name}\n{clinic_name}، {location_name}\n\n"
        "نرجو تأكيد الموعد أو إلغاءه عبر الرابط:\n{link}",
    ),
)

CONFIRMED = (
    sms(
        "{clinic_name}: the appointment for {patient_name} on {date} at {time}, {location_name}, is confirmed."
        " For changes call {phone}.",
        "{clinic_name}: تم تأكيد موعد {patient_name} يوم {date} الساعة {time}، {location_name}. للتغيير: {phone}",
    ),
    whatsapp(
        "Hello {recipient_name},\nthe appointment for {patient_name} is confirmed:\n\n"
        "*{date}, {time}*\nWith {provider_name}\n{clinic_name}, {location_name}\n\n"
        "We look forward to seeing you. For changes call {phone}.",
        "مرحبًا {recipient_name}،\nتم تأكيد موعد {patient_name}:\n\n"
        "*{date}، {time}*\nمع {provider_name}\n{clinic_name}، {location_name}\n\n"
        "نتطلع إلى زيارتكم. لأي تغيير يمكنكم الاتصال على {phone}",
    ),
    letter(
        "Your appointment on {date} at {time} is confirmed",
        "تم تأكيد الموعد: {date}، {time}",
        "The appointment for {patient_name} is confirmed:\n\n" + _DETAILS_EN + "\n\n"
        "All about the appointment:\n{link}\n\nIf something changes, please call us on {phone}."
        " We look forward to seeing you.",
        "تم تأكيد موعد {patient_name}:\n\n" + _DETAILS_AR + "\n\n"
        "تفاصيل الموعد:\n{link}\n\nلأي تغيير نسعد باتصالكم على {phone}. نتطلع إلى زيارتكم.",
    ),
)
CONFIRMED_BELL = Bell(
    title_en="Your appointment is confirmed",
    title_ar="تم تأكيد موعدكم",
    body_en="{date}, {time}, {location_name}",
    body_ar="{date}، {time}، {location_name}",
    level=Level.SUCCESS,
    category=Category.APPOINTMENT,
)
CONFIRMED_BY_PATIENT_BELL = Bell(
    title_en="{patient_name} has confirmed",
    title_ar="تم تأكيد الموعد من {patient_name}",
    body_en="{date}, {time}, with {provider_name}",
    body_ar="{date}، {time}، مع {provider_name}",
    level=Level.SUCCESS,
    category=Category.APPOINTMENT,
)

RESCHEDULED = (
    sms(
        "{clinic_name}: the appointment for {patient_name} has moved to {date} at {time}, {location_name}."
        " Reason: {reason}. Please confirm: {link}",
        "{clinic_name}: تغيّر موعد {patient_name} إلى {date} الساعة {time}، {location_name}."
        " السبب: {reason}. نرجو التأكيد: {link}",
    ),
    whatsapp(
        "Hello {recipient_name},\nthe appointment for {patient_name} has a new time:\n\n"
        "*{date}, {time}*\nWith {provider_name}\n{clinic_name}, {location_name}\n\n"
        "It was on {old_date} at {old_time}. Reason: {reason}.\n\nPlease confirm the new time here:\n{link}",
        "مرحبًا {recipient_name}،\nتغيّر وقت موعد {patient_name}، والوقت الجديد:\n\n"
        "*{date}، {time}*\nمع {provider_name}\n{clinic_name}، {location_name}\n\n"
        "كان الموعد يوم {old_date} الساعة {old_time}. السبب: {reason}.\n\nنرجو تأكيد الوقت الجديد عبر الرابط:\n{link}",
    ),
    letter(
        "New time for your appointment: {date} at {time}",
        "وقت جديد للموعد: {date}، {time}",
        "The appointment for {patient_name} on {old_date} at {old_time} has moved. The new time:\n\n"
        + _DETAILS_EN
        + "\n\nReason: {reason}.\n\nPlease confirm the new time with this link:\n{link}\n\n"
        "If it does not suit you, please call us on {phone}.",
        "تغيّر موعد {patient_name} الذي كان يوم {old_date} الساعة {old_time}. الوقت الجديد:\n\n"
        + _DETAILS_AR
        + "\n\nالسبب: {reason}.\n\nنرجو تأكيد الوقت الجديد عبر الرابط:\n{link}\n\n"
        "إن لم يكن الوقت مناسبًا فنسعد باتصالكم على {phone}",
    ),
)
RESCHEDULED_BELL = Bell(
    title_en="Your appointment has a new time",
    title_ar="وقت جديد لموعدكم",
    body_en="{date}, {time}, {location_name}. Please confirm it.",
    body_ar="{date}، {time}، {location_name}. نرجو التأكيد.",
    level=Level.WARNING,
    category=Category.APPOINTMENT,
)
RESCHEDULED_STAFF_EMAIL = staff_letter(
    "Appointment moved to {date}, {time}",
    "نُقل موعد إلى {date}، {time}",
    "The appointment of {old_date} at {old_time} has moved. Reason: {reason}.",
    "نُقل الموعد الذي كان يوم {old_date} الساعة {old_time}. السبب: {reason}.",
)
RESCHEDULED_STAFF_BELL = Bell(
    title_en="Appointment moved: {patient_name}",
    title_ar="نُقل موعد: {patient_name}",
    body_en="From {old_date}, {old_time} to {date}, {time}, with {provider_name}. Reason: {reason}.",
    body_ar="من {old_date}، {old_time} إلى {date}، {time}، مع {provider_name}. السبب: {reason}.",
    level=Level.WARNING,
    category=Category.APPOINTMENT,
    fold_within=dt.timedelta(hours=1),
)
MOVED_BY_PATIENT_BELL = Bell(
    title_en="{patient_name} has moved the appointment",
    title_ar="تم تغيير الموعد من {patient_name}",
    body_en="From {old_date}, {old_time} to {date}, {time}, with {provider_name}.",
    body_ar="من {old_date}، {old_time} إلى {date}، {time}، مع {provider_name}.",
    level=Level.INFO,
    category=Category.APPOINTMENT,
)

ARRIVED_BELL = Bell(
    title_en="{patient_name} has arrived",
    title_ar="تم تسجيل حضور {patient_name}",
    body_en="Appointment at {time}, {location_name}. {open_points}",
    body_ar="الموعد الساعة {time}، {location_name}. {open_points}",
    level=Level.WARNING,
    category=Category.ARRIVAL,
    is_critical=True,
    # By then the patient has been seen, or has come to the desk.
    useful_for=dt.timedelta(minutes=30),
)

COMPLETED_EMAIL = letter(
    "Thank you for visiting {clinic_name}",
    "شكرًا لزيارتكم {clinic_name}",
    "Thank you for coming to us on {date}. It was a pleasure to care for {patient_title} {patient_name}.\n\n"
    "Next steps:\n{next_steps}\n\nQuestions, or time for the next appointment? Call us on {phone}.",
    "شكرًا لزيارتكم يوم {date}. سعدنا بتقديم الرعاية إلى {patient_title} {patient_name}.\n\n"
    "الخطوات القادمة:\n{next_steps}\n\nللاستفسار أو لحجز الموعد القادم: {phone}",
)

CANCELLED = (
    sms(
        "{clinic_name}: the appointment for {patient_name} on {date} at {time} is cancelled. Reason: {reason}."
        " To book again call {phone}.",
        "{clinic_name}: أُلغي موعد {patient_name} يوم {date} الساعة {time}. السبب: {reason}. لحجز موعد جديد: {phone}",
    ),
    whatsapp(
        "Hello {recipient_name},\nthe appointment for {patient_name} on *{date}, {time}* is cancelled.\n\n"
        "Reason: {reason}.\n\nWe are glad to find you a new time: call {phone}.\n{clinic_name}",
        "مرحبًا {recipient_name}،\nأُلغي موعد {patient_name} يوم *{date}، {time}*.\n\n"
        "السبب: {reason}.\n\nيسعدنا حجز موعد جديد لكم: {phone}\n{clinic_name}",
    ),
    letter(
        "Your appointment on {date} at {time} is cancelled",
        "إلغاء الموعد: {date}، {time}",
        "The appointment for {patient_name} is cancelled:\n\n"
        + _DETAILS_EN
        + "\n\nReason: {reason}.\n\nTo book a new appointment, please call us on {phone}."
        " We are glad to find you a time.",
        "أُلغي موعد {patient_name}:\n\n"
        + _DETAILS_AR
        + "\n\nالسبب: {reason}.\n\nلحجز موعد جديد نسعد باتصالكم على {phone}",
    ),
)
CANCELLED_BELL = Bell(
    title_en="Your appointment is cancelled",
    title_ar="أُلغي موعدكم",
    body_en="{date}, {time}. Reason: {reason}. To book again call {phone}.",
    body_ar="{date}، {time}. السبب: {reason}. لحجز موعد جديد: {phone}",
    level=Level.WARNING,
    category=Category.APPOINTMENT,
)
CANCELLED_STAFF_EMAIL = staff_letter(
    "Appointment cancelled: {date}, {time}",
    "أُلغي موعد: {date}، {time}",
    "This appointment is cancelled; the time is free again. Reason: {reason}.",
    "أُلغي هذا الموعد وأصبح وقته متاحًا. السبب: {reason}.",
)
CANCELLED_STAFF_BELL = Bell(
    title_en="Appointment cancelled: {patient_name}",
    title_ar="أُلغي موعد: {patient_name}",
    body_en="{date}, {time}. Reason: {reason}.",
    body_ar="{date}، {time}. السبب: {reason}.",
    level=Level.WARNING,
    category=Category.APPOINTMENT,
)
CANCELLED_BY_PATIENT_BELL = Bell(
    title_en="{patient_name} has cancelled",
    title_ar="تم إلغاء الموعد من {patient_name}",
    body_en="{date}, {time}, with {provider_name}. The time is free again. Reason: {reason}.",
    body_ar="{date}، {time}، مع {provider_name}. الوقت متاح من جديد. السبب: {reason}.",
    level=Level.WARNING,
    category=Category.APPOINTMENT,
)

VOIDED_EMAIL = letter(
    "Removed from your calendar: {date}, {time}",
    "أُزيل من تقويمكم: {date}، {time}",
    "An entry for {patient_name} on {date} at {time} came into your calendar by mistake. This letter takes it out"
    " again; there is nothing to do.\n\nQuestions? Call us on {phone}.",
    "أُضيف إلى تقويمكم عن طريق الخطأ موعد باسم {patient_name} يوم {date} الساعة {time}. تزيله هذه الرسالة من التقويم، ولا"
    " يلزم أي إجراء منكم.\n\nللاستفسار نرجو الاتصال على {phone}",
)
NO_SHOW_EMAIL = letter(
    "We missed you on {date}",
    "افتقدناكم يوم {date}",
    "We had kept a time for {patient_name} on {date} at {time} and missed you. We hope all is well.\n\n"
    "To ask for a new time:\n{link}\n\nYou can also call us on {phone}. If this note is a mistake, please tell us.",
    "خصصنا لموعد {patient_name} يوم {date} الساعة {time} وافتقدناكم، ونرجو أن تكونوا بخير.\n\n"
    "لطلب موعد جديد:\n{link}\n\nأو الاتصال على {phone}. وإن وصلت هذه الرسالة بالخطأ فنرجو إبلاغنا.",
)
NO_SHOW_BELL = Bell(
    title_en="We missed you",
    title_ar="افتقدناكم",
    body_en="Appointment on {date}, {time}. For a new time call {phone}.",
    body_ar="موعد {date}، {time}. لحجز موعد جديد: {phone}",
    category=Category.APPOINTMENT,
)
NO_SHOW_STAFF_EMAIL = staff_letter(
    "No-show: {date}, {time}",
    "لم يتم الحضور: {date}، {time}",
    "The patient did not come to this appointment.",
    "لم يتم الحضور إلى هذا الموعد.",
)
NO_SHOW_STAFF_BELL = Bell(
    title_en="No-show: {patient_name}",
    title_ar="لم يتم الحضور: {patient_name}",
    body_en="{date}, {time}, {location_name}",
    body_ar="{date}، {time}، {location_name}",
    level=Level.WARNING,
    category=Category.APPOINTMENT,
)

REMINDER_24H = (
    sms(
        "{clinic_name}: a reminder of the appointment for {patient_name} on {date} at {time}, {location_name}."
        " {link_note}: {link}",
        "{clinic_name}: نذكّركم بموعد {patient_name} يوم {date} الساعة {time}، {location_name}. {link_note}: {link}",
    ),
    whatsapp(
        "Hello {recipient_name},\na reminder of the appointment for {patient_name}:\n\n"
        "*{date}, {time}*\nWith {provider_name}\n{clinic_name}, {location_name}\n\n{link_note}:\n{link}",
        "مرحبًا {recipient_name}،\nنذكّركم بموعد {patient_name}:\n\n"
        "*{date}، {time}*\nمع {provider_name}\n{clinic_name}، {location_name}\n\n{link_note}:\n{link}",
    ),
    letter(
        "Reminder: appointment on {date} at {time}",
        "تذكير بالموعد: {date}، {time}",
        "A reminder of the appointment for {patient_name}:\n\n" + _DETAILS_EN + "\n\n{link_note}:\n{link}\n\n"
        "If you cannot come, please call us on {phone}, so that somebody else can have the time.",
        "نذكّركم بموعد {patient_name}:\n\n" + _DETAILS_AR + "\n\n{link_note}:\n{link}\n\n"
        "إن تعذّر الحضور فنرجو الاتصال على {phone} ليستفيد غيركم من الوقت.",
    ),
)
REMINDER_2H = (
    sms(
        "{clinic_name}: the appointment for {patient_name} is soon, {date} at {time}, {location_name}."
        " {link_note}: {link}",
        "{clinic_name}: اقترب موعد {patient_name}، {date} الساعة {time}، {location_name}. {link_note}: {link}",
    ),
    whatsapp(
        "Hello {recipient_name},\nthe appointment for {patient_name} is soon:\n\n"
        "*{date}, {time}*\nWith {provider_name}\n{clinic_name}, {location_name}\n\n"
        "Please come a few minutes early.\n\n{link_note}:\n{link}",
        "مرحبًا {recipient_name}،\nاقترب موعد {patient_name}:\n\n"
        "*{date}، {time}*\nمع {provider_name}\n{clinic_name}، {location_name}\n\n"
        "نرجو الحضور قبل الموعد بقليل.\n\n{link_note}:\n{link}",
    ),
    letter(
        "Soon: appointment at {time}",
        "اقترب الموعد: {time}",
        "The appointment for {patient_name} is soon:\n\n" + _DETAILS_EN + "\n\n"
        "Please come a few minutes early.\n\n{link_note}:\n{link}\n\nIf you cannot come, please call us on {phone}.",
        "اقترب موعد {patient_name}:\n\n" + _DETAILS_AR + "\n\n"
        "نرجو الحضور قبل الموعد بقليل.\n\n{link_note}:\n{link}\n\nإن تعذّر الحضور فنرجو الاتصال على {phone}",
    ),
)

RESULTS_READY = (
    sms(
        "{clinic_name}: results for {patient_name} are ready. Sign in: {link} or call {phone} to hear what comes next.",
        "{clinic_name}: نتائج {patient_name} جاهزة. لمعرفة الخطوة التالية: {link} أو الاتصال على {phone}",
    ),
    whatsapp(
        "Hello {recipient_name},\nresults for {patient_name} are ready.\n\n"
        "Your own page:\n{link}\n\nOr call {phone} to hear what comes next.\n{clinic_name}",
        "مرحبًا {recipient_name}،\nنتائج {patient_name} جاهزة.\n\n"
        "صفحة المراجع:\n{link}\n\nأو الاتصال على {phone} لمعرفة الخطوة التالية.\n{clinic_name}",
    ),
    letter(
        "Results are ready",
        "النتائج جاهزة",
        "Results for {patient_name} are ready. For your privacy they are not part of this email.\n\n"
        "Your own page:\n{link}\n\nYou can also call us on {phone} to hear what comes next.",
        "نتائج {patient_name} جاهزة. حفاظًا على خصوصيتكم لا نرسلها بالبريد.\n\n"
        "صفحة المراجع:\n{link}\n\nأو الاتصال على {phone} لمعرفة الخطوة التالية.",
    ),
)
RESULTS_READY_BELL = Bell(
    title_en="Your results are ready",
    title_ar="النتائج جاهزة",
    body_en="Please call {phone} to hear what comes next.",
    body_ar="نرجو الاتصال على {phone} لمعرفة الخطوة التالية.",
    level=Level.SUCCESS,
    category=Category.APPOINTMENT,
)
