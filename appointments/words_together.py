"""The words of what is told of several visits at once. The same manners as in ``words.py``; nobody's provider is named."""

from __future__ import annotations

from appointments.words import letter, sms, whatsapp

BOOKED = (
    sms(
        "{clinic_name}: appointments on {date}, {location_name}: {visit_list}. {link_note}: {link}",
        "{clinic_name}: مواعيد يوم {date}، {location_name}: {visit_list}. {link_note}: {link}",
    ),
    whatsapp(
        "Hello {recipient_name},\nthese appointments have been booked on {date}:\n\n"
        "*{visit_list}*\n{clinic_name}, {location_name}\n\n{link_note}:\n{link}",
        "مرحبًا {recipient_name}،\nتم حجز هذه المواعيد يوم {date}:\n\n"
        "*{visit_list}*\n{clinic_name}، {location_name}\n\n{link_note}:\n{link}",
    ),
)

REMINDER = (
    sms(
        "{clinic_name}: a reminder of the appointments on {date}, {location_name}: {visit_list}. {link_note}: {link}",
        "{clinic_name}: نذكّركم بمواعيد يوم {date}، {location_name}: {visit_list}. {link_note}: {link}",
    ),
    whatsapp(
        "Hello {recipient_name},\na reminder of the appointments on {date}:\n\n"
        "*{visit_list}*\n{clinic_name}, {location_name}\n\n{link_note}:\n{link}",
        "مرحبًا {recipient_name}،\nنذكّركم بمواعيد يوم {date}:\n\n"
        "*{visit_list}*\n{clinic_name}، {location_name}\n\n{link_note}:\n{link}",
    ),
    letter(
        "Reminder: appointments on {date}",
        "تذكير بمواعيد يوم {date}",
        "A reminder of the appointments on {date}:\n\n{visit_list}\n{clinic_name}, {location_name}\n\n"
        "{link_note}:\n{link}\n\nIf somebody cannot come, please call us on {phone}, so that somebody else can have the time.",
        "نذكّركم بمواعيد يوم {date}:\n\n{visit_list}\n{clinic_name}، {location_name}\n\n"
        "{link_note}:\n{link}\n\nإن تعذّر حضور أحد المواعيد فنرجو الاتصال على {phone} ليستفيد غيركم من الوقت.",
    ),
)
