"""Templates in the middle of their life: one published and changed once, one being reviewed, one draft, one sent back.

The services write them, as two admins would; so the rules hold here too.
"""

from __future__ import annotations

from core.management.demo_data.build import Build
from core.models import Role, User
from notifications import template_versions
from notifications.models import MessageTemplate
from notifications.states import Channel, NotificationType

_HOURS = {
    "body_en": "{clinic_name}: we are open on Saturday from 9:00 to 14:00.",
    "body_ar": "{clinic_name}: نعمل يوم السبت من 9:00 إلى 14:00.",
}
_HOURS_AGAIN = {
    "body_en": "{clinic_name}: this week we are also open on Saturday, from 9:00 to 16:00.",
    "body_ar": "{clinic_name}: نعمل هذا الأسبوع يوم السبت أيضًا، من 9:00 إلى 16:00.",
}
_OFFER = {
    "subject_en": "A check of your teeth before the holidays",
    "subject_ar": "فحص أسنانكم قبل الإجازة",
    "body_en": "Dear {patient_name},\n\nuntil the end of the month a check of your teeth costs half.\n\n"
    "You no longer want such mails? Answer with “unsubscribe”.\n\n{clinic_name}",
    "body_ar": "{patient_name}،\n\nحتى نهاية الشهر فحص الأسنان بنصف السعر.\n\n"
    "لإلغاء الاشتراك في هذه الرسائل يكفي الرد بعبارة «إلغاء الاشتراك».\n\n{clinic_name}",
}
_PARKING = {
    "body_en": "{clinic_name}: the car park is closed on Monday. Please use the north gate – it’s a short walk.",
    "body_ar": "{clinic_name}: موقف السيارات مغلق يوم الاثنين. يرجى استخدام البوابة الشمالية.",
}


def build_templates(build: Build) -> None:
    author, reviewer, *_rest = build.staff(Role.ADMIN)
    _published(author, reviewer)
    offer = template_versions.create(
        actor=author,
        name="Dental check, half price",
        channel=Channel.EMAIL,
        notification_type=NotificationType.MARKETING,
        words=_OFFER,
        variables=[],
    )
    template_versions.submit(actor=author, version=offer, revision=1, note="For the end of the month.")
    _sent_back(author, reviewer)
    reminder = MessageTemplate.objects.get(code="appointment.reminder_24h.patient", channel=Channel.SMS)
    template_versions.save_draft(
        actor=reviewer,
        template=reminder,
        words={
            "body_en": reminder.body_en.replace("a reminder of the appointment", "see you soon! The appointment"),
            "body_ar": reminder.body_ar.replace("نذكّركم بموعد", "نراكم قريبًا! موعد"),
        },
        variables=[],
        revision=0,
    )


def _published(author: User, reviewer: User) -> None:
    """Two versions, the second one sent."""
    first = template_versions.create(
        actor=author,
        name="Saturday opening hours",
        channel=Channel.SMS,
        notification_type=NotificationType.GENERAL,
        words=_HOURS,
        variables=[],
    )
    template_versions.submit(actor=author, version=first, revision=1)
    template_versions.publish(actor=reviewer, version=first, revision=1)
    second = template_versions.save_draft(
        actor=reviewer, template=first.template, words=_HOURS_AGAIN, variables=[], revision=0
    )
    template_versions.submit(actor=reviewer, version=second, revision=1, note="Two hours longer this week.")
    template_versions.publish(actor=author, version=second, revision=1)


def _sent_back(author: User, reviewer: User) -> None:
    version = template_versions.create(
        actor=reviewer,
        name="Car park closed",
        channel=Channel.SMS,
        notification_type=NotificationType.GENERAL,
        words=_PARKING,
        variables=[],
    )
    template_versions.submit(actor=reviewer, version=version, revision=1)
    template_versions.reject(
        actor=author, version=version, revision=1, note="Please use a plain dash and apostrophe: it needs two segments."
    )
