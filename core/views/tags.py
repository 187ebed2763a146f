"""Tags: the clinic group's words in the settings, and those of one patient."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from core import tags
from core.access import Can, get_or_404, require
from core.models import Patient, PatientTag
from core.tag_forms import PatientTagsForm, TagForm
from core.views.settings.pages import act, save


@require(Can.MANAGE_SETTINGS)
@require_http_methods(["GET", "HEAD", "POST"])
def tag_list(request: HttpRequest) -> HttpResponse:
    """The list, and the form for a new one."""
    form = TagForm(request.POST or None)
    if request.method == "POST" and save(request, form, tags.tag_create, done=_("The tag was added.")) is not None:
        return redirect("core:settings_tags")
    context = {"form": form, "tags": list(tags.counted())}
    return render(request, "core/settings/tags.html", context, status=422 if form.errors else 200)


@require(Can.MANAGE_SETTINGS)
@require_http_methods(["GET", "HEAD", "POST"])
def tag_update(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    tag = get_or_404(PatientTag.objects.all(), pk)
    form = TagForm(request.POST or None, initial=TagForm.initial_of(tag))
    if request.method == "POST" and save(request, form, tags.tag_update, tag=tag) is not None:
        return redirect("core:settings_tags")
    context = {"form": form, "tag": tag}
    return render(request, "core/settings/tag_form.html", context, status=422 if form.errors else 200)


@require(Can.MANAGE_SETTINGS)
@require_POST
def tag_delete(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    tag = get_or_404(PatientTag.objects.all(), pk)
    done = _("The tag “%(name)s” is gone.") % {"name": tag.name}
    return act(request, tags.tag_delete, done=done, to="core:settings_tags", tag=tag)


@require(Can.EDIT_PATIENTS)
@require_http_methods(["GET", "HEAD", "POST"])
def patient_tags(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Which tags this patient has."""
    patient = get_or_404(Patient.objects.all(), pk)
    form = PatientTagsForm(request.POST if request.method == "POST" else None, patient=patient)
    if request.method == "POST" and form.is_valid():
        tags.patient_tags_set(actor=request.user, patient=patient, **form.wish())
        return redirect("core:patient_detail", pk=patient.pk)
    context = {"form": form, "patient": patient}
    return render(request, "core/patient_tags.html", context, status=422 if form.errors else 200)
