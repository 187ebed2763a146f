"""What may be sent to a patient, and why not: the decision for each kind and channel, consents and stops. For staff."""

from __future__ import annotations

import uuid

from django.contrib import messages as notes
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from core import merging
from core.access import Can, get_or_404, require
from core.errors import DomainError
from core.models import Patient
from notifications import consents, gate
from notifications.consent_states import Purpose
from notifications.models import OptEvent
from notifications.states import Channel, NotificationType
from notifications.wish_forms import ConsentWordForm

# As many rows as a page shows; the copy of the patient's data has all.
SHOWN = 20
# What is said about one channel in any case.
_CHANNEL_OF = {Purpose.WHATSAPP: Channel.WHATSAPP}
KINDS = [one for one in NotificationType if one != NotificationType.STAFF]


@require(Can.SEE_PATIENTS)
@require_safe
def wishes(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The page; for htmx its inner part alone."""
    patient = get_or_404(Patient.objects.select_related("tenant"), pk)
    return _show(request, patient, ConsentWordForm())


@require(Can.EDIT_PATIENTS)
@require_POST
def consent_record(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Writes down what the patient, or the guardian, has said or signed."""
    patient = get_or_404(Patient.objects.select_related("tenant"), pk)
    form = ConsentWordForm(request.POST)
    if form.is_valid():
        try:
            consents.record(patient=patient, actor=request.user, **form.word())
        except DomainError as error:
            form.add_error(None, str(error))
        else:
            notes.success(request, _("The answer is noted and holds from now on."))
            return redirect("notifications:patient_wishes", pk=patient.pk)
    return _show(request, patient, form, status=422)


def _show(request: HttpRequest, patient: Patient, form: ConsentWordForm, *, status: int = 200) -> HttpResponse:
    preference = gate.preference_of(patient)
    stops = OptEvent.objects.filter(patient__in=merging.file_ids(patient)).order_by("-position")
    context = {
        "patient": patient,
        "preference": preference,
        "channels": list(Channel),
        "decisions": gate.explain_all(patient, KINDS),
        "agreed": [(purpose, preference.agreed(purpose, _CHANNEL_OF.get(purpose, ""))) for purpose in Purpose],
        "history": consents.history_of(patient)[:SHOWN],
        "stops": stops[:SHOWN],
        "form": form,
        "location": request.user.location,
    }
    inner = "notifications/partials/patient_wishes.html"
    return render(request, inner if request.htmx else "notifications/patient_wishes.html", context, status=status)
