"""Tags: the clinic group's own groups of patients, for finding them and writing to them."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models.patient import Patient
from core.models.tenant import BilingualName
from core.tenancy import TenantModel


class PatientTag(TenantModel, BilingualName):
    """A word that staff put on patients. Written by ``core/tags.py`` only."""

    # Says something about health or treatment: never the ground of an advertisement (PDPL Art. 26).
    is_health = models.BooleanField(_("about health"), default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("tag")
        verbose_name_plural = _("tags")
        ordering = ["name_en", "pk"]


class PatientTagging(TenantModel):
    """One tag on one patient."""

    tag = models.ForeignKey(PatientTag, on_delete=models.CASCADE, related_name="taggings")
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="taggings")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("tag of a patient")
        verbose_name_plural = _("tags of patients")
        constraints = [models.UniqueConstraint(fields=["tag", "patient"], name="patient_tagged_once")]
