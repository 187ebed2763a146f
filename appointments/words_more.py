"""Words, in both languages, for what is told of several visits at once, of the waiting list.

The rules of ``words.py`` hold: no department, no specialty, a link or a phone number instead of “reply”, three parts of an
Arabic SMS at most. Arabic without a gender: «نرجو», «الموعد».
"""

from __future__ import annotations

from appointments.words import letter, sms, whatsapp
from notifications.registry import Bell
from notifications.states import Category, Level

# --- a series --------------------------------------------------------------------------------------------------------

SERIES_BOOKED = (
    sms(
        "{clinic_name}: {visits} for {patient_name}, every week from {date} at {time}, {location_name}."
        " All dates: {link}",
        "{clinic_name}: {visits} باسم {patient_name}، أسبوعيًا من {date} الساعة {time}، {location_name}."
        " جميع المواعيد: {link}",
    ),
    whatsapp(
        "Hello {recipient_name},\n{visits} have been booked for {patient_name}, one every week:\n\n"
        "*From {date}, {time}*\nLast: {last_date}\nWith {provider_name}\n{clinic_name}, {location_name}\n\n"
        "All dates:\n{link}",
        "مرحبًا {recipient_name}،\nتم حجز {visits} باسم {patient_name}، موعد كل أسبوع:\n\n"
        "*من {date}، {time}*\nآخر موعد: {last_date}\nمع {provider_name}\n{clinic_name}، {location_name}\n\n"
        "جميع المواعيد:\n{link}",
    ),
    letter(
        "{visits}, every week from {date}",
        "{visits} أسبوعيًا من {date}",
        "We have booked {visits} for {patient_name}, one every week:\n\n"
        "First: {date}, {time}\nLast: {last_date}\nWith: {provider_name}\nPlace: {clinic_name}, {location_name}\n\n"
        "All dates, and what to do if one does not suit:\n{link}\n\n"
        "You get a reminder before each of them. Questions? Call us on {phone}.",
        "تم حجز {visits} باسم {patient_name}، موعد كل أسبوع:\n\n"
        "أول موعد: {date}، {time}\nآخر موعد: {last_date}\nمع: {provider_name}\nالمكان: {clinic_name}، {location_name}\n\n"
        "جميع المواعيد، وما يمكن عمله إن لم يناسب أحدها:\n{link}\n\n"
        "يصل تذكير قبل كل موعد. للاستفسار: {phone}",
    ),
)
SERIES_BOOKED_STAFF_BELL = Bell(
    title_en="New series: {patient_name}",
    title_ar="سلسلة مواعيد جديدة: {patient_name}",
    body_en="{visits}, every week from {date}, {time}, {location_name}",
    body_ar="{visits} أسبوعيًا من {date}، {time}، {location_name}",
    category=Category.APPOINTMENT,
)
SERIES_CANCELLED = (
    sms(
        "{clinic_name}: {visits} of {patient_name} from {date} on are cancelled. For new times call {phone}.",
        "{clinic_name}: تم إلغاء {visits} باسم {patient_name} ابتداءً من {date}. لحجز مواعيد جديدة: {phone}",
    ),
    whatsapp(
        "Hello {recipient_name},\n{visits} of {patient_name} are cancelled:\n\n"
        "*From {date}, {time}*\nLast: {last_date}\n{clinic_name}, {location_name}\n\nFor new times call {phone}.",
        "مرحبًا {recipient_name}،\nتم إلغاء {visits} باسم {patient_name}:\n\n"
        "*من {date}، {time}*\nآخر موعد: {last_date}\n{clinic_name}، {location_name}\n\nلحجز مواعيد جديدة: {phone}",
    ),
    letter(
        "{visits} cancelled, from {date} on",
        "إلغاء {visits} ابتداءً من {date}",
        "{visits} of {patient_name} are cancelled, from {date}, {time}, to {last_date}.\n\n"
        "For new times please call us on {phone}.",
        "تم إلغاء {visits} باسم {patient_name}، من {date}، {time}، إلى {last_date}.\n\nلحجز مواعيد جديدة: {phone}",
    ),
)
SERIES_CANCELLED_BELL = Bell(
    title_en="{visits} cancelled",
    title_ar="إلغاء {visits}",
    body_en="From {date}, {time}. For new times call {phone}.",
    body_ar="من {date}، {time}. لحجز مواعيد جديدة: {phone}",
    category=Category.APPOINTMENT,
)
SERIES_CANCELLED_STAFF_BELL = Bell(
    title_en="Series cancelled: {patient_name}",
    title_ar="إلغاء سلسلة مواعيد: {patient_name}",
    body_en="{visits} from {date}, {time}, {location_name}",
    body_ar="{visits} من {date}، {time}، {location_name}",
    level=Level.WARNING,
    category=Category.APPOINTMENT,
)

# --- a provider who cannot come --------------------------------------------------------------------------------------

CALLED_OFF = (
    sms(
        "{clinic_name}: we are sorry, we had to cancel on {date}: {visit_list}. For a new time: {link}",
        "{clinic_name}: نعتذر، تم إلغاء موعد {date}: {visit_list}. لطلب موعد جديد: {link}",
    ),
    whatsapp(
        "Hello {recipient_name},\nwe are sorry: we had to cancel\n\n*{date}: {visit_list}*\n"
        "{clinic_name}, {location_name}\n\nTo ask for a new time:\n{link}\n\nor call {phone}.",
        "مرحبًا {recipient_name}،\nنعتذر عن إلغاء\n\n*{date}: {visit_list}*\n{clinic_name}، {location_name}\n\n"
        "لطلب موعد جديد:\n{link}\n\nأو الاتصال على {phone}",
    ),
    letter(
        "Cancelled: {date}",
        "إلغاء موعد: {date}",
        "We are sorry: we had to cancel\n\n{date}: {visit_list}\n{clinic_name}, {location_name}\n\n"
        "To ask for a new time:\n{link}\n\nYou can also call us on {phone}.",
        "نعتذر عن إلغاء\n\n{date}: {visit_list}\n{clinic_name}، {location_name}\n\n"
        "لطلب موعد جديد:\n{link}\n\nأو الاتصال على {phone}",
    ),
)
CALLED_OFF_BELL = Bell(
    title_en="Cancelled: {date}",
    title_ar="إلغاء موعد: {date}",
    body_en="{visit_list}. For a new time call {phone}.",
    body_ar="{visit_list}. لحجز موعد جديد: {phone}",
    level=Level.WARNING,
    category=Category.APPOINTMENT,
)
ABSENCE_BELL = Bell(
    title_en="Your appointments are cancelled: {visits}",
    title_ar="إلغاء مواعيدكم: {visits}",
    body_en="From {date}, {time}, to {last_date}, {last_time}. The patients have been told.",
    body_ar="من {date}، {time}، إلى {last_date}، {last_time}. تم إبلاغ المراجعين.",
    level=Level.WARNING,
    category=Category.APPOINTMENT,
)

# --- the waiting list ------------------------------------------------------------------------------------------------

OFFERED = (
    sms(
        "{clinic_name}: an earlier time for {patient_name} is free: {date} at {time}, {location_name}."
        " Held until {hold_time}: {link}",
        "{clinic_name}: يتوفر موعد أقرب لـ{patient_name}: {date} الساعة {time}، {location_name}."
        " محجوز حتى {hold_time}: {link}",
    ),
    whatsapp(
        "Hello {recipient_name},\nan earlier time for {patient_name} is free:\n\n*{date}, {time}*\n"
        "{clinic_name}, {location_name}\n\nIt is held for you until {hold_time}. Take it, or leave it to others:\n{link}",
        "مرحبًا {recipient_name}،\nيتوفر موعد أقرب لـ{patient_name}:\n\n*{date}، {time}*\n"
        "{clinic_name}، {location_name}\n\nالموعد محجوز حتى {hold_time}. للقبول أو الاعتذار:\n{link}",
    ),
)
OFFER_LOST = (
    sms(
        "{clinic_name}: the earlier time on {date} at {time} is no longer available. You stay on our list.",
        "{clinic_name}: الموعد الأقرب يوم {date} الساعة {time} لم يعد متاحًا. الاسم باقٍ في قائمة الانتظار.",
    ),
    whatsapp(
        "Hello {recipient_name},\nthe earlier time on {date} at {time} is no longer available."
        " You stay on our list, and what you have booked stays booked.",
        "مرحبًا {recipient_name}،\nالموعد الأقرب يوم {date} الساعة {time} لم يعد متاحًا."
        " الاسم باقٍ في قائمة الانتظار، والموعد المحجوز باقٍ كما هو.",
    ),
)
OFFER_TAKEN_BELL = Bell(
    title_en="Earlier time accepted: {patient_name}",
    title_ar="قبول موعد أقرب: {patient_name}",
    body_en="{date}, {time}, {provider_name}",
    body_ar="{date}، {time}، {provider_name}",
    level=Level.SUCCESS,
    category=Category.APPOINTMENT,
)
