"""What is written back to a patient who has replied, in both languages: the words of the one acknowledgement.

Short, and about nothing but what was asked: phones lie on tables. Visits come as whole lines, made by who knows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from notifications import rendering
from notifications.questions import Look
from notifications.rendering import Words

NO_PHONE = Words("the clinic", "العيادة")

CONFIRMED = Words("Thank you, confirmed:\n{lines}", "شكرًا، تم التأكيد:\n{lines}")
CANCELLED = Words(
    "Cancelled, as you asked:\n{lines}\nTo book again call {phone}.",
    "تم الإلغاء حسب طلبكم:\n{lines}\nلحجز موعد جديد: {phone}",
)
CHANGE_ASKED = Words(
    "We are looking for another time:\n{lines}\nUntil you hear from us it stays as it is.",
    "نبحث لكم عن وقت آخر:\n{lines}\nويبقى الموعد كما هو حتى نتواصل معكم.",
)
CHANGE_BY_LINK = Words(
    "We are looking for another time:\n{lines}\nUntil you hear from us it stays as it is. Or choose one yourself: {link}",
    "نبحث لكم عن وقت آخر:\n{lines}\nويبقى الموعد كما هو حتى نتواصل معكم. ويمكن اختيار الوقت من هنا: {link}",
)
STATE = Words("{states}\nQuestions? Call {phone}.", "{states}\nللاستفسار: {phone}")
STATE_BY_LINK = Words("{states}\nDetails: {link}", "{states}\nالتفاصيل: {link}")
WHICH = Words(
    "Which one do you mean? Please answer with its number or the name, or ALL:\n{lines}",
    "أيّها تقصدون؟ نرجو الرد بالرقم أو الاسم، أو بكلمة «الكل»:\n{lines}",
)
BY_LINK = Words(
    "Please answer by this link, so that nothing is mixed up: {link}", "نرجو الرد عبر هذا الرابط منعًا للخلط: {link}"
)
NOTHING_OPEN = Words(
    "We found no appointment to cancel for this number. A person will read your message."
    " To end our messages answer STOP.",
    "لم نجد موعدًا يمكن إلغاؤه لهذا الرقم، وسيقرأ أحد موظفينا رسالتكم. لإيقاف رسائلنا نرجو الرد بكلمة «إيقاف».",
)
HELP = Words(
    "{clinic_name}: you reach us on {phone}. To end our messages answer STOP.",
    "{clinic_name}: يمكن التواصل معنا على {phone}. لإيقاف رسائلنا نرجو الرد بكلمة «إيقاف».",
)
RESUMED = Words("You will get our messages again.", "ستصلكم رسائلنا من جديد.")
EMERGENCY = Words(
    "If anybody is in danger, please call {number} now. We have alerted the clinic, but messages here are not read at"
    " every hour.",
    "إن كان أحد في خطر فنرجو الاتصال الآن على {number}. أبلغنا العيادة، لكن الرسائل هنا لا تُقرأ في كل الأوقات.",
)


def write(words: Words, language: str, **context: Any) -> str:
    """The text in the reader's language."""
    return rendering.render(words.name_in(language), list(context), context, language)


def lines(looks: Sequence[Look], *, numbered: bool = False) -> Words:
    """One line each, with numbers to answer by."""
    return Words(*(_joined([one.line for one in looks], language, numbered=numbered) for language in ("en", "ar")))


def states(looks: Sequence[Look]) -> Words:
    return Words(*(_joined([one.state for one in looks], language, numbered=False) for language in ("en", "ar")))


def _joined(rows: Sequence[rendering.Bilingual], language: str, *, numbered: bool) -> str:
    texts = [row.name_in(language) for row in rows]
    return "\n".join(f"{index}. {text}" for index, text in enumerate(texts, start=1)) if numbered else "\n".join(texts)
