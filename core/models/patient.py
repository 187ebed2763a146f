"""The patient, who speaks for them, their sub-files and their consents."""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.models.tenant import BilingualName, Language
from core.tenancy import TenantModel


class Gender(models.TextChoices):
    FEMALE = "F", _("Female")
    MALE = "M", _("Male")


class Patient(TenantModel, BilingualName):
    """A person who is treated. Phones are E.164 text; a phone is not an identity: families share one."""

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


class Guardian(TenantModel, BilingualName):
    """A parent or other legal guardian, who reads the messages of the children."""

    phone = models.CharField(_("mobile phone"), max_length=20, blank=True)
    email = models.EmailField(_("email"), blank=True)
    language = models.CharField(_("language"), max_length=2, choices=Language.choices, default=Language.ARABIC)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("guardian")
        verbose_name_plural = _("guardians")
        indexes = [models.Index(fields=["tenant", "phone"], name="guardian_by_phone")]


class Guardianship(TenantModel):
    """Who may act and be told for a patient. Unverified guardians are told nothing (PDPL Impl. Reg. Art. 13)."""

    class Kind(models.TextChoices):
        MOTHER = "MOTHER", _("Mother")
        FATHER = "FATHER", _("Father")
        OTHER = "OTHER", _("Other legal guardian")

    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="guardianships")
    guardian = models.ForeignKey(Guardian, on_delete=models.CASCADE, related_name="guardianships")
    kind = models.CharField(_("relation"), max_length=8, choices=Kind.choices)
    is_primary = models.BooleanField(_("first contact"), default=False)
    receives_messages = models.BooleanField(_("receives messages"), default=True)
    verified_at = models.DateTimeField(_("verified at"), null=True, blank=True)

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
