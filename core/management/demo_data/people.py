"""The people of a demo clinic: staff, forty patients, families, sub-file holders and what each wants to receive."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from core.demo_accounts import DEMO_ACCOUNTS
from core.management.demo_data import build as building
from core.management.demo_data.build import Build
from core.management.demo_data.clinics import DEPARTMENTS, ProviderPlan
from core.management.demo_data.names import FAMILY, FEMALE, FROM_ABROAD, MALE, Pair
from core.models import Department, Guardian, Guardianship, Language, Location, Patient, Role, User
from core.models.patient import Gender
from integrations.sandbox.magic import Trick
from notifications import consents
from notifications.consent_states import ConsentStatus, Method, Purpose
from notifications.models import ConsentRecord, NotificationPreference
from notifications.states import Channel

PATIENTS = 40
FIRST_MRN = 100001
# Children a family, five families; the sixth guardian is not verified yet.
FAMILIES = (3, 2, 2, 3, 2)
CHILD_AGES = (9, 6, 4, 11, 7, 5, 3, 13, 10, 2, 15, 8, 6)
ADULT_AGES = (34, 29, 41, 52, 67, 23, 38, 45, 31, 58, 72, 26, 36, 48, 80, 33, 61, 27, 39, 55, 44, 30, 19, 64, 35, 50)
# Saudi mobile prefixes after +966; the sandbox's magic numbers end in 00xx, ours never by chance.
# The sandbox refuses the first at once and loses the second on the way.
MAGIC = (Trick.INVALID.value, Trick.UNDELIVERED.value)
PREFIXES = ("50", "53", "54", "55", "56", "58", "59")


@dataclass(slots=True)
class People:
    """Everybody who is treated or speaks for somebody; ``story`` is the patient to book first."""

    patients: list[Patient] = field(default_factory=list)
    guardians: list[Guardian] = field(default_factory=list)
    guardianships: list[Guardianship] = field(default_factory=list)
    preferences: dict[object, NotificationPreference] = field(default_factory=dict)
    consents: list[ConsentRecord] = field(default_factory=list)
    # patient id → the first contact's relation, for minors
    speakers: dict[object, Guardianship] = field(default_factory=dict)

    @property
    def story(self) -> Patient:
        return self.patients[0]

    def is_hard_to_reach(self, patient: Patient) -> bool:
        """Whom messages do not reach for one reason or another: they come, but less often than the others."""
        bond = self.speakers.get(patient.pk)
        wishes = self.preferences[patient.pk]
        if bond is not None:
            return bond.verified_at is None
        return (
            not (patient.phone or patient.email)
            or patient.phone[-4:] in MAGIC
            or not (wishes.sms_enabled or wishes.whatsapp_enabled or wishes.email_enabled)
        )


def build_places(build: Build) -> None:
    """Locations and departments."""
    plan = build.plan
    for place in plan.places:
        build.locations.append(
            Location(
                id=build.new_id(),
                tenant=build.tenant,
                name_en=place.name.en,
                name_ar=place.name.ar,
                address_en=place.address.en,
                address_ar=place.address.ar,
                phone=place.phone,
                weekend=list(plan.weekend),
                sms_sender=plan.sms_sender,
                whatsapp_sender=plan.whatsapp_sender,
                email_sender=f"{plan.name.en} <no-reply@{plan.slug}.example>",
            )
        )
    for code, name in DEPARTMENTS:
        build.departments[code] = Department(
            id=build.new_id(), tenant=build.tenant, code=code, name_en=name.en, name_ar=name.ar
        )
    building.save(build.locations, list(build.departments.values()))


def build_users(build: Build, password_hash: str) -> None:
    """The accounts of ``core.demo_accounts``."""
    plans = {plan.email: plan for plan in build.plan.providers}
    for account in DEMO_ACCOUNTS:
        if account.tenant_slug != build.plan.slug:
            continue
        plan = plans.get(account.email)
        build.users[account.email] = User(
            id=build.new_id(),
            tenant=build.tenant,
            email=account.email,
            password=password_hash,
            name_en=account.name_en,
            name_ar=account.name_ar,
            title_en="Dr." if plan else "",
            title_ar="د." if plan else "",
            role=account.role,
            language=Language.ARABIC if account.role == Role.PATIENT else Language.ENGLISH,
            location=_workplace(build, account.email, plan),
            department=build.departments[plan.department] if plan else None,
            is_staff=False,
            created_at=build.now - dt.timedelta(days=400),
        )
    building.save(list(build.users.values()))


def _workplace(build: Build, email: str, plan: ProviderPlan | None) -> Location | None:
    """A provider's own location; the second front desk sits at the second one, everybody else works for both."""
    if plan is not None:
        return build.locations[plan.place]
    return build.locations[1] if email.startswith("desk2@") else None


def build_people(build: Build) -> People:
    """The story patient, families, adults and the few who make trouble."""
    people = People()
    maker = _Maker(build, people)
    maker.story_patient()
    for size in FAMILIES:
        maker.family(size)
    maker.unverified_family()
    maker.adults()
    maker.second_parents()
    _preferences(build, people)
    counter = build.counter("patient")
    counter.value = FIRST_MRN + PATIENTS - 1
    counter.save()
    building.save(people.guardians, people.patients, people.guardianships, list(people.preferences.values()))
    for purpose in Purpose:
        consents.text_in_force(build.tenant.pk, purpose)
    building.save(people.consents)
    return people


def load_people(build: Build) -> People:
    """The people as they are in the database now, with whomever visitors have added; the story patient first."""
    people = People(guardians=list(Guardian.objects.order_by("created_at", "pk")))
    wishes = {row.patient_id: row for row in NotificationPreference.objects.all()}
    for patient in Patient.objects.filter(is_active=True, merged_into=None).select_related("user").order_by("mrn"):
        patient.tenant = build.tenant
        people.patients.append(patient)
        people.preferences[patient.pk] = wishes.get(patient.pk) or NotificationPreference(
            tenant=build.tenant, patient=patient
        )
    people.patients.sort(key=lambda patient: patient.user is None)
    people.guardianships = list(Guardianship.objects.select_related("guardian").order_by("pk"))
    people.speakers = {bond.patient_id: bond for bond in people.guardianships if bond.is_primary}
    return people


class _Maker:
    """Deals names, ages and numbers, each once."""

    def __init__(self, build: Build, people: People) -> None:
        self.build = build
        self.people = people
        self.families = list(FAMILY)
        self.names = {Gender.FEMALE: list(FEMALE), Gender.MALE: list(MALE)}
        for deck in (self.families, *self.names.values()):
            build.rng.shuffle(deck)
        self.child_ages = list(CHILD_AGES)
        self.adult_ages = list(ADULT_AGES)
        self.taken: set[str] = set()
        self.seen_by = next(user for user in build.users.values() if user.role == Role.FRONT_DESK)

    def story_patient(self) -> None:
        """Adult, reads Arabic, likes WhatsApp, has an email and an account: the one a visitor books first."""
        account = next(user for user in self.build.users.values() if user.role == Role.PATIENT)
        patient = self.patient(Pair(account.name_en, account.name_ar), Gender.FEMALE, age=35)
        patient.user = account

    def family(self, size: int) -> None:
        """A verified parent with their children. In the first family the mother is a patient too, on one phone."""
        family = self.families.pop()
        is_first = not self.people.guardians
        mother = is_first or self.build.chance(0.6)
        guardian = self.guardian(family, Gender.FEMALE if mother else Gender.MALE)
        since = self.build.now - dt.timedelta(days=self.build.rng.randint(60, 300))
        for _ in range(size):
            child = self.child(family)
            child.language = guardian.language
            self.bond(child, guardian, mother=mother, verified_at=since)
            if is_first:
                child.phone = guardian.phone
        if is_first:
            own = self.patient(Pair(guardian.name_en, guardian.name_ar), Gender.FEMALE, age=self.adult_ages.pop(0))
            own.phone, own.email = guardian.phone, guardian.email

    def second_parents(self) -> None:
        """A father who leaves the messages to the mother, and one who must not be told."""
        fathers = (
            (Pair("Nasser Al-Dosari", "ناصر الدوسري"), {"receives_messages": False}),
            (Pair("Turki Al-Anazi", "تركي العنزي"), {"blocked_reason": "Court order no. 1187"}),
        )
        first_contacts = list(dict.fromkeys(bond.guardian_id for bond in self.people.guardianships))
        for position, (name, terms) in enumerate(fathers, start=1):
            father = Guardian(
                id=self.build.new_id(),
                tenant=self.build.tenant,
                name_en=name.en,
                name_ar=name.ar,
                # A prefix that nobody else of the demo has.
                phone=f"+966573{self.build.plan.seed % 100:02d}{4100 + position}",
                language=Language.ARABIC,
                gender=Gender.MALE,
                created_at=self.build.now - dt.timedelta(days=300),
            )
            self.people.guardians.append(father)
            of_family = [b for b in self.people.guardianships if b.guardian_id == first_contacts[position]]
            for bond in of_family:
                self.people.guardianships.append(
                    Guardianship(
                        id=self.build.new_id(),
                        tenant=self.build.tenant,
                        patient=bond.patient,
                        guardian=father,
                        kind=Guardianship.Kind.FATHER,
                        verified_at=bond.verified_at,
                        verified_by=bond.verified_by,
                        evidence=bond.evidence,
                        **terms,
                    )
                )

    def unverified_family(self) -> None:
        """Nobody is told about this child until the front desk has seen the family card."""
        family = self.families.pop()
        self.bond(self.child(family), self.guardian(family, Gender.MALE), mother=False, verified_at=None)

    def adults(self) -> None:
        abroad = list(FROM_ABROAD)
        while len(self.people.patients) < PATIENTS:
            age = self.adult_ages.pop(0)
            if abroad:
                name, sex = abroad.pop()
                self.patient(name, Gender(sex), age=age, language=Language.ENGLISH)
                continue
            gender = Gender.FEMALE if self.build.chance(0.5) else Gender.MALE
            self.patient(self.full_name(self.given(gender), self.build.rng.choice(FAMILY)), gender, age=age)
        deceased, silent, invalid, rejected = self.people.patients[-4:]
        deceased.deceased_at = self.build.today - dt.timedelta(days=16)
        deceased.birth_date = deceased.birth_date.replace(year=self.build.today.year - 79)
        silent.phone = silent.email = ""
        invalid.phone, rejected.phone = (f"+966500{self.build.plan.seed % 100:02d}{ending}" for ending in MAGIC)
        invalid.email = ""
        self.people.patients[-6].language = Language.ENGLISH

    def child(self, family: Pair) -> Patient:
        gender = Gender.FEMALE if self.build.chance(0.5) else Gender.MALE
        patient = self.patient(self.full_name(self.given(gender), family), gender, age=self.child_ages.pop(0))
        patient.phone = patient.email = ""
        return patient

    def patient(self, name: Pair, gender: Gender, *, age: int, language: str = Language.ARABIC) -> Patient:
        rng = self.build.rng
        number = FIRST_MRN + len(self.people.patients)
        patient = Patient(
            id=self.build.new_id(),
            tenant=self.build.tenant,
            mrn=str(number),
            name_en=name.en,
            name_ar=name.ar,
            birth_date=_birth_date(self.build.today, age, rng.randint(1, 364)),
            gender=gender,
            phone=self.phone(),
            email=_email(name.en, number),
            language=language,
            created_at=self.build.now - dt.timedelta(days=rng.randint(60, 700)),
            updated_at=self.build.now - dt.timedelta(days=rng.randint(30, 59)),
        )
        self.people.patients.append(patient)
        return patient

    def guardian(self, family: Pair, gender: Gender) -> Guardian:
        name = self.full_name(self.given(gender), family)
        guardian = Guardian(
            id=self.build.new_id(),
            tenant=self.build.tenant,
            name_en=name.en,
            name_ar=name.ar,
            phone=self.phone(),
            email=_email(name.en, FIRST_MRN + len(self.people.guardians)),
            language=Language.ENGLISH if len(self.people.guardians) == 3 else Language.ARABIC,
            gender=gender,
            created_at=self.build.now - dt.timedelta(days=320),
        )
        self.people.guardians.append(guardian)
        return guardian

    def bond(self, child: Patient, guardian: Guardian, *, mother: bool, verified_at: dt.datetime | None) -> None:
        bond = Guardianship(
            id=self.build.new_id(),
            tenant=self.build.tenant,
            patient=child,
            guardian=guardian,
            kind=Guardianship.Kind.MOTHER if mother else Guardianship.Kind.FATHER,
            is_primary=True,
            verified_at=verified_at,
            verified_by=self.seen_by if verified_at is not None else None,
            evidence="Family register, seen on paper" if verified_at is not None else "",
        )
        self.people.guardianships.append(bond)
        self.people.speakers[child.pk] = bond

    def given(self, gender: Gender) -> Pair:
        return self.names[gender].pop()

    @staticmethod
    def full_name(given: Pair, family: Pair) -> Pair:
        return Pair(f"{given.en} {family.en}", f"{given.ar} {family.ar}")

    def phone(self) -> str:
        while True:
            number = f"+966{self.build.rng.choice(PREFIXES)}{self.build.rng.randint(1000000, 9999999)}"
            if number not in self.taken and not number[-4:].startswith("00"):
                self.taken.add(number)
                return number


def _birth_date(today: dt.date, age: int, days: int) -> dt.date:
    """Somebody of that many full years today."""
    return today - dt.timedelta(days=round(age * 365.25) + days)


def _email(name_en: str, number: int) -> str:
    first, _, last = name_en.lower().partition(" ")
    return f"{first}.{last.replace('al-', '').replace('-', '').replace(' ', '')}{number % 100:02d}@mail.example"


def _consents(build: Build, people: People, patient: Patient, *, wants_offers: bool) -> None:
    """Signed when the file was opened: three in five want health awareness, some want offers, a few took it back."""
    bond = people.speakers.get(patient.pk)
    number = len(people.preferences)
    said = [(Purpose.AWARENESS, number % 5 < 3), (Purpose.PROMOTION, wants_offers)]
    rows = [
        ConsentRecord(
            id=build.new_id(),
            tenant=build.tenant,
            patient=patient,
            guardian=bond.guardian if bond is not None else None,
            purpose=purpose,
            status=ConsentStatus.WITHDRAWN if number % 11 == 0 else ConsentStatus.GRANTED,
            method=Method.PAPER,
            text_version=f"{purpose.value} 1",
            language=patient.language,
            at=patient.created_at,
            valid_until=consents.of_age_at(patient) if bond is not None else None,
            created_at=patient.created_at,
        )
        for purpose, is_agreed in said
        if is_agreed
    ]
    people.consents += rows
    people.preferences[patient.pk].consents = consents.held_of(rows)


def _preferences(build: Build, people: People) -> None:
    """One row each. Children follow their family: the first child's wishes hold for the siblings."""
    by_guardian: dict[object, str] = {}
    for patient in people.patients:
        channel = build.rng.choices([Channel.SMS, Channel.WHATSAPP, Channel.EMAIL], weights=[45, 43, 12])[0]
        bond = people.speakers.get(patient.pk)
        if bond is not None:
            channel = Channel(by_guardian.setdefault(bond.guardian_id, channel))
        people.preferences[patient.pk] = NotificationPreference(
            id=build.new_id(),
            tenant=build.tenant,
            patient=patient,
            preferred_channel=channel,
            updated_at=patient.updated_at,
        )
        _consents(build, people, patient, wants_offers=build.chance(0.3))
    wish = people.preferences
    wish[people.story.pk].preferred_channel = Channel.WHATSAPP
    for broken in people.patients[-2:]:
        wish[broken.pk].preferred_channel = Channel.SMS
        wish[broken.pk].whatsapp_enabled = False
    choosy = people.patients[18:26]
    wish[choosy[0].pk].sms_enabled = False
    wish[choosy[1].pk].email_enabled = False
    wish[choosy[2].pk].reminders_enabled = False
    wish[choosy[3].pk].billing_enabled = False
    wish[choosy[4].pk].whatsapp_enabled = False
    for switch in ("sms_enabled", "whatsapp_enabled", "email_enabled"):
        setattr(wish[choosy[5].pk], switch, False)
