"""A patient's tags, for the pages that show a patient."""

from __future__ import annotations

from typing import Any

from django import template

from core import tags
from core.models import Patient

register = template.Library()


@register.inclusion_tag("core/partials/patient_tags.html")
def patient_tags(patient: Patient) -> dict[str, Any]:
    """The card with the patient's tags. One query."""
    return {"patient": patient, "tags": list(tags.tags_of(patient))}
