"""Reads of patients that several pages use: search as people type it, and who cannot be reached.

Must never import anything of the other apps.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
import zoneinfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Lower
from django.utils import timezone

from core import phone
from core.models import Guardianship, Location, Patient, Tenant, User

_WESTERN_DIGITS = str.maketrans("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹", "01234567890123456789")
# Letters that people write one for the other; short vowels and the stretching mark may stand between any two.
_ALIKE = ("اأإآٱ", "هة", "يىئ", "وؤ")
_MARKS = "[\u0640\u064b-\u0652\u0670]*"
_ARABIC = re.compile("[\u0621-\u064a]")
_DIGITS = re.compile(r"\d+", re.ASCII)


def zone_of(user: User) -> zoneinfo.ZoneInfo:
    """The wall clock of the place where the user works."""
    return user.location.zone if user.location is not None else zoneinfo.ZoneInfo(settings.TIME_ZONE)


def zone_of_tenant() -> zoneinfo.ZoneInfo:
    """The clock of the open tenant as a whole, by which its days are divided: that of its first location."""
    name = Location.objects.order_by("pk").values_list("timezone", flat=True).first()
    return zoneinfo.ZoneInfo(name or settings.TIME_ZONE)


def western_digits(text: str) -> str:
    """``٠٥٠`` → ``050``."""
    return text.translate(_WESTERN_DIGITS)


def matching(text: str, prefix: str = "") -> Q:
    """What a person typed → patients: a name in either script, a file number, a phone in any form (their own or a guardian's),
    an email.

    ``prefix`` is the path from the row that is searched to its patient (``"patient__"``). Each word of a name may
    stand anywhere: “Mutairi Sara” finds Sara Al-Mutairi; «احمد» finds «أحمد».
    """
    # No keyboard writes a NUL, and no database takes it.
    typed = western_digits(text).replace("\x00", "").strip()
    names = Q()
    for word in typed.split():
        if _ARABIC.search(word):
            names &= Q(**{f"{prefix}name_ar__iregex": _arabic_pattern(word)})
        else:
            names &= Q(**{f"{prefix}name_en__icontains": word})
    wanted = names | Q(**{f"{prefix}mrn__iexact": typed}) | Q(**{f"{prefix}email__icontains": typed})
    for number in phone_fragments(typed):
        wanted |= Q(**{f"{prefix}phone__contains": number}) | Q(**{f"{prefix}phone_alternative__contains": number})
        # A mother's phone finds her children.
        children = Guardianship.objects.filter(guardian__phone__contains=number).values("patient")
        wanted |= Q(**{f"{prefix}pk__in": children})
    return wanted


def words_in(word: str, *fields: str) -> Q:
    """Rows with that word, as people write it, in one of the fields, whose text may be in either script."""
    if _ARABIC.search(word):
        wanted = {f"{name}__iregex": _arabic_pattern(word) for name in fields}
    else:
        wanted = {f"{name}__icontains": western_digits(word) for name in fields}
    return Q(*wanted.items(), _connector=Q.OR)


def phone_fragments(typed: str) -> list[str]:
    """The E.164 number, or a part of one; empty when the text is no number. ``050 12`` looks for ``5012``."""
    try:
        return [phone.to_e164(typed)]
    except ValidationError:
        digits = "".join(_DIGITS.findall(typed))
        is_number = not re.search(r"[^\d\s()+.\-]", typed)
        # Two digits match half of the clinic.
        return [digits.removeprefix("00").lstrip("0")] if is_number and len(digits) >= 3 else []


def _arabic_pattern(word: str) -> str:
    """A pattern in which أ, إ, آ and ا are one letter, and so on. The marks are optional."""
    parts = []
    for char in word:
        group = next((alike for alike in _ALIKE if char in alike), "")
        parts.append(f"[{group}]" if group else re.escape(char))
    return _MARKS.join(parts)


def duplicates_of(*, phone_number: str, birth_date: dt.date, except_pk: uuid.UUID | None = None) -> QuerySet[Patient]:
    """Patients born that day with that phone, their own or a guardian's. A hint, no proof: twins share both."""
    same_phone = Q(phone=phone_number) | Q(guardianships__guardian__phone=phone_number)
    rows = Patient.objects.filter(same_phone, birth_date=birth_date, merged_into=None)
    if except_pk is not None:
        rows = rows.exclude(pk=except_pk)
    return rows.distinct()


def unreachable(tenant: Tenant) -> Q:
    """Patients whose reader has neither phone nor email, as a condition on ``Patient`` rows.

    The rule of ``core.contacts.contact_for`` in SQL, so that a list need not ask for each row; a test holds the two
    together. A phone shared with a blocked guardian counts as one here: who looks at the file sees why it is none.
    """
    today = timezone.localdate()
    adult_since = years_before(today, tenant.age_of_majority)
    speaking = Guardianship.objects.filter(
        Q(valid_from=None) | Q(valid_from__lte=today),
        Q(valid_until=None) | Q(valid_until__gte=today),
        patient=OuterRef("pk"),
        receives_messages=True,
        verified_at__isnull=False,
        blocked_reason="",
    ).exclude(guardian__phone="", guardian__email="")
    is_adult = Q(birth_date__lte=adult_since)
    return (is_adult & Q(phone="", email="")) | (~is_adult & ~Q(Exists(speaking)))


def years_before(day: dt.date, years: int) -> dt.date:
    """The birth date of somebody who turns that old today; 29 February counts from 1 March."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)


def numbers_of(patient: Patient) -> set[str]:
    """Every number that stands in the file, the patient's own and the guardians'."""
    guardians = Guardianship.objects.filter(patient=patient).values_list("guardian__phone", flat=True)
    return {patient.phone, patient.phone_alternative, *guardians} - {""}


def twins_of(patient: Patient) -> QuerySet[Patient]:
    """Files that may be of the same person: born the same day, with a phone of this file or the same name."""
    numbers = numbers_of(patient)
    alike = Q(phone__in=numbers) | Q(guardianships__guardian__phone__in=numbers) | Q(name_en__iexact=patient.name_en)
    if patient.name_ar:
        alike |= Q(name_ar=patient.name_ar)
    rows = Patient.objects.filter(alike, birth_date=patient.birth_date, merged_into=None).exclude(pk=patient.pk)
    return rows.distinct().order_by("name_en", "pk")


def possible_twins(limit: int = 50) -> list[list[Patient]]:
    """Groups of files born the same day with the same own phone, or with the same name in English. A hint, no proof.

    Three queries; the newest birth dates first, at most ``limit`` groups.
    """
    rows = Patient.objects.filter(merged_into=None)
    by_phone = rows.exclude(phone="").values_list("birth_date", "phone").annotate(count=Count("pk")).filter(count__gt=1)
    by_name = (
        rows.exclude(name_en="")
        .annotate(folded=Lower("name_en"))
        .values_list("birth_date", "folded")
        .annotate(count=Count("pk"))
        .filter(count__gt=1)
    )
    phones = [(day, number) for day, number, _count in by_phone.order_by("-birth_date")[:limit]]
    names = [(day, name) for day, name, _count in by_name.order_by("-birth_date")[:limit]]
    candidates = rows.annotate(folded=Lower("name_en")).filter(
        Q(birth_date__in={day for day, _key in [*phones, *names]})
    )
    groups: dict[tuple[dt.date, str], list[Patient]] = {key: [] for key in [*phones, *names]}
    for patient in candidates.order_by("mrn") if groups else ():
        for key in ((patient.birth_date, patient.phone), (patient.birth_date, patient.folded)):
            if key in groups:
                groups[key].append(patient)
    # The same phone and the same name are one group.
    found = {tuple(patient.pk for patient in group): group for group in groups.values()}
    return sorted(found.values(), key=lambda group: group[0].birth_date, reverse=True)[:limit]
