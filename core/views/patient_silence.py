"""The buttons of a file that silence it, or one of its numbers."""

from __future__ import annotations

import uuid

from django.contrib import messages as notes
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from core import patients
from core.access import Can, get_or_404, require
from core.errors import DomainError
from core.models import Patient
from core.selectors import numbers_of


@require(Can.EDIT_PATIENTS)
@require_POST
def patient_restriction(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Restricts the file with a reason, or lifts that."""
    patient = get_or_404(Patient.objects.all(), pk)
    try:
        if request.POST.get("lift"):
            patients.patient_unrestrict(actor=request.user, patient_id=patient.pk)
            done = _("Messages about this patient go again.")
        else:
            reason = request.POST.get("reason", "")
            patients.patient_restrict(actor=request.user, patient_id=patient.pk, reason=reason)
            done = _("The file is restricted. What waited was withdrawn.")
    except DomainError as error:
        notes.error(request, str(error))
    else:
        notes.success(request, done)
    return redirect("core:patient_detail", pk=patient.pk)


@require(Can.EDIT_PATIENTS)
@require_POST
def patient_number_wrong(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """A number of the file, the patient's or a guardian's, belongs to somebody else."""
    patient = get_or_404(Patient.objects.all(), pk)
    number = request.POST.get("number", "")
    if number not in numbers_of(patient):
        # Changed since the page was drawn.
        notes.error(request, _("This number stands in the file no longer."))
        return redirect("core:patient_detail", pk=patient.pk)
    holders = patients.number_is_wrong(actor=request.user, phone=number)
    others = len(holders) - 1
    if others > 0:
        notes.warning(
            request,
            ngettext(
                "Nobody is written to at this number any more. It stands in one more file.",
                "Nobody is written to at this number any more. It stands in %(count)s more files.",
                others,
            )
            % {"count": others},
        )
    else:
        notes.success(request, _("Nobody is written to at this number any more."))
    return redirect("core:patient_detail", pk=patient.pk)
