"""The patient, who speaks for them, their sub-files and their consents."""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.models.reading import ReadingWishes
from core.models.tenant import BilingualName, Language
from core.tenancy import TenantModel


class Gender(models.TextChoices):
    FEMALE = "F", _("Female")
    MALE = "M", _("Male")


class Patient(TenantModel, ReadingWishes, BilingualName):
    """A person who is treated. Phones are E.164 text; a phone is not an identity: families share one.

    ``is_active`` off: the patient has left the clinic. Restricted: nothing at all is sent, whoever would read it.
    """

    mrn = models.CharField(_("file number"), max_length=20)
    birth_date = models.DateField(_("date of birth"))
    gender = models.CharField(_("gender"), max_length=1, choices=Gender.choices)
    phone = models.CharField(_("mobile phone"), max_length=20, blank=True)
    phone_alternative = models.CharField(_("other phone"), max_length=20, blank=True)
    email = models.EmailField(_("email"), blank=True)
    language = models.CharField(_("language"), max_length=2, choices=Language.choices, default=Language.ARABIC)
    user = models.OneToOneField("core.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="patient")
    guardians = models.ManyToManyField("core.Guardian", through="core.Guardianship", related_name="patients")
    deceased_at = models.DateField(_("deceased on"), null=True, blank=True)
    merged_into = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="merged_from")
    is_active = models.BooleanField(_("active"), default=True)
    is_restricted = models.BooleanField(_("restricted"), default=False)
    restriction_reason = models.CharField(_("why it is restricted"), max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("patient")
        verbose_name_plural = _("patients")
        ordering = ["name_en", "pk"]
        constraints = [models.UniqueConstraint(fields=["tenant", "mrn"], name="patient_mrn_once")]
        indexes = [
            models.Index(fields=["tenant", "name_en"], name="patient_by_name"),
            # used when a reply comes in: who has this number?
            models.Index(fields=["tenant", "phone"], name="patient_by_phone"),
        ]

    def age_on(self, day: dt.date) -> int:
        """Full years on that day."""
        had_birthday = (day.month, day.day) >= (self.birth_date.month, self.birth_date.day)
        return day.year - self.birth_date.year - (0 if had_birthday else 1)

    @property
    def age(self) -> int:
        return self.age_on(timezone.localdate())

    def is_minor_on(self, day: dt.date) -> bool:
        return self.age_on(day) < self.tenant.age_of_majority

    @property
    def is_minor(self) -> bool:
        return self.is_minor_on(timezone.localdate())

    @property
    def initials(self) -> str:
        parts = self.name_en.split() or self.name_ar.split()
        return "".join(part[0] for part in (parts[:1] + parts[1:][-1:])).upper()


class Guardian(TenantModel, ReadingWishes, BilingualName):
    """A parent or other legal guardian, who reads the messages of the children."""

    # Arabic addresses a mother and a father in different words; empty: in neutral ones.
    gender = models.CharField(_("gender"), max_length=1, choices=Gender.choices, blank=True)
    phone = models.CharField(_("mobile phone"), max_length=20, blank=True)
    email = models.EmailField(_("email"), blank=True)
    language = models.CharField(_("language"), max_length=2, choices=Language.choices, default=Language.ARABIC)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("guardian")
        verbose_name_plural = _("guardians")
        indexes = [models.Index(fields=["tenant", "phone"], name="guardian_by_phone")]


class Guardianship(TenantModel):
    """Who may act and be told for a patient, from when until when.

    Unverified guardians are told nothing (PDPL Impl. Reg. Art. 13), nor is anybody who is blocked.
    """

    class Kind(models.TextChoices):
        """The relation, and with it the legal authority: parents have it by law, the others by a document."""

        MOTHER = "MOTHER", _("Mother")
        FATHER = "FATHER", _("Father")
        COURT = "COURT", _("Guardian appointed by a court")
        PROXY = "PROXY", _("Holder of a power of attorney")
        OTHER = "OTHER", _("Other legal guardian")

    # Whose authority is not born with the child: verified only with a word on the document that gives it.
    BY_DOCUMENT = frozenset({Kind.COURT, Kind.PROXY})

    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="guardianships")
    guardian = models.ForeignKey(Guardian, on_delete=models.CASCADE, related_name="guardianships")
    kind = models.CharField(_("relation"), max_length=8, choices=Kind.choices)
    is_primary = models.BooleanField(_("first contact"), default=False)
    receives_messages = models.BooleanField(_("receives messages"), default=True)
    # Values of ``notifications.states.NotificationType`` that this guardian does not get.
    not_for = models.JSONField(_("does not get"), default=list, blank=True)
    valid_from = models.DateField(_("in force from"), null=True, blank=True)
    valid_until = models.DateField(_("in force until"), null=True, blank=True)
    # The ``valid_until`` whose end was followed: written by the clock, or by who set a day that is past.
    shut_out_after = models.DateField(null=True, editable=False)
    verified_at = models.DateTimeField(_("verified at"), null=True, blank=True)
    verified_by = models.ForeignKey(
        "core.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("verified by")
    )
    # What was looked at: “family register no. …, seen on paper”. Never a copy of it.
    evidence = models.CharField(_("evidence"), max_length=200, blank=True)
    # Not empty: must not be told, whatever else holds (a court's order, a parent who must not know).
    blocked_reason = models.CharField(_("why blocked"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("guardianship")
        verbose_name_plural = _("guardianships")
        ordering = ["-is_primary", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["patient", "guardian"], name="guardianship_once"),
            models.UniqueConstraint(
                fields=["patient"], condition=models.Q(is_primary=True), name="guardianship_one_primary"
            ),
        ]

    def speaks_on(self, day: dt.date) -> bool:
        """Verified, in force, and wanting to be told."""
        return self.verified_at is not None and self.receives_messages and self.is_in_force_on(day)

    def is_in_force_on(self, day: dt.date) -> bool:
        begun = self.valid_from is None or self.valid_from <= day
        return begun and (self.valid_until is None or self.valid_until >= day)

    @property
    def is_in_force(self) -> bool:
        return self.is_in_force_on(timezone.localdate())


class SubFile(TenantModel):
    """A patient's file in one department, opened with the first appointment there."""

    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="subfiles")
    department = models.ForeignKey("core.Department", on_delete=models.PROTECT, related_name="subfiles")
    # A file number (20), a dash and a department's code (10).
    number = models.CharField(_("number"), max_length=31)
    opened_at = models.DateTimeField(_("opened at"), auto_now_add=True)

    class Meta:
        verbose_name = _("sub-file")
        verbose_name_plural = _("sub-files")
        constraints = [
            models.UniqueConstraint(fields=["patient", "department"], name="subfile_one_per_department"),
            models.UniqueConstraint(fields=["tenant", "number"], name="subfile_number_once"),
        ]

    def __str__(self) -> str:
        return self.number


class ConsentVerification(TenantModel):
    """The treatment consent of a sub-file: checked by whom, until when. The latest row counts."""

    class Status(models.TextChoices):
        VERIFIED = "VERIFIED", _("Verified")
        MISSING = "MISSING", _("Missing")
        EXPIRED = "EXPIRED", _("Expired")
        WITHDRAWN = "WITHDRAWN", _("Withdrawn")

    subfile = models.ForeignKey(SubFile, on_delete=models.CASCADE, related_name="consents")
    status = models.CharField(_("status"), max_length=10, choices=Status.choices)
    verified_by = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    valid_until = models.DateField(_("valid until"), null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("consent verification")
        verbose_name_plural = _("consent verifications")
        indexes = [models.Index(fields=["subfile", "-created_at"], name="consent_latest")]
