"""Core's model signals: what must hold for a patient's row whoever saves it (a form, the console, an import)."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import pre_save
from django.dispatch import receiver

from core.models import Guardianship, Patient
from core.sequences import next_number


@receiver(pre_save, sender=Patient)
def patient_pre_save(sender: type[Patient], *, instance: Patient, raw: bool = False, **kwargs: Any) -> None:
    """Gives a new patient the next free file number."""
    if raw or instance.mrn:
        return
    while not instance.mrn:
        number = f"{next_number(instance.tenant_id, 'patient'):06d}"
        # Numbers brought along from an older system may be in the way.
        if not Patient.objects.filter(tenant_id=instance.tenant_id, mrn=number).exists():
            instance.mrn = number


@receiver(pre_save, sender=Guardianship)
def guardianship_pre_save(
    sender: type[Guardianship], *, instance: Guardianship, raw: bool = False, **kwargs: Any
) -> None:
    """The first guardian is the first contact."""
    if raw or instance.is_primary or not instance._state.adding:
        return
    instance.is_primary = not Guardianship.objects.filter(patient=instance.patient).exists()
