"""Bulk sends: the list, and the steps of a new one: audience, message, check. Each step is a page of its own."""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from typing import Any

from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views import View

from appointments import bulk_audience
from appointments.models import Appointment
from core.access import Can, get_or_404, require
from core.errors import DomainError
from core.selectors import zone_of
from integrations.bulk import audience, control, upload, words
from notifications.bulk_forms import AudienceForm, ClosedForm, WordsForm
from notifications.bulk_states import EDITABLE, BulkSource, MessageClass
from notifications.models import BulkSend
from notifications.views.bulk_words import CLOSED_TEXTS, chips_of

PAGE_SIZE = 20


class BulkMessageView(View):
    """Every bulk send of the clinic group, the latest first."""

    def get(self, request: HttpRequest) -> HttpResponse:
        rows = BulkSend.objects.select_related("created_by").defer("words", "audience")
        page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
        return render(request, "notifications/bulk_message.html", {"page": page, "zone": zone_of(request.user)})


@require(Can.SEND_BULK)
def bulk_create(request: HttpRequest) -> HttpResponse:
    """Step 1. The button that was pressed (``source``) says whether the filters or the file count."""
    choices = [(status.value, status.label) for status in bulk_audience.STATUSES]
    is_sent = request.method == "POST"
    form = AudienceForm(request.POST if is_sent else None, request.FILES if is_sent else None, status_choices=choices)
    source = request.POST.get("source", BulkSource.FILTERS)
    if is_sent and form.is_valid():
        if source == BulkSource.UPLOAD and not form.cleaned_data["file"]:
            form.add_error("file", form.fields["file"].error_messages["required"])
        else:
            try:
                bulk = _drafted(request, form, source)
            except DomainError as error:
                form.refuse(error)
            else:
                return redirect("notifications:bulk_words", pk=bulk.pk)
    context = {"form": form, "classes": form.class_choices(), "is_open": bool(form.errors)}
    return render(request, "notifications/bulk_audience.html", context, status=422 if is_sent else 200)


def _drafted(request: HttpRequest, form: AudienceForm, source: str) -> BulkSend:
    data = form.cleaned_data
    common = {"actor": request.user, "name": data["name"], "message_class": data["message_class"]}
    if source == BulkSource.UPLOAD:
        file = data["file"]
        return control.draft(
            **common, source=BulkSource.UPLOAD, people=lambda bulk: upload.read(bulk, file.file, file.name)
        )
    filters = form.filters()
    department = data["department"].pk if data["department"] else None
    tag = data["tag"].pk if data["tag"] else None
    if not form.is_by_visit:
        people = audience.patients(language=data["language"], department_id=department, tag_id=tag)
        return control.draft(**common, source=BulkSource.FILTERS, people=people, filters=filters)
    zone = data["location"].zone if data["location"] else zone_of(request.user)
    visits = bulk_audience.visits(
        starts=dt.datetime.combine(data["visits_from"], dt.time(0), tzinfo=zone),
        ends=dt.datetime.combine(data["visits_until"] + dt.timedelta(days=1), dt.time(0), tzinfo=zone),
        location_id=data["location"].pk if data["location"] else None,
        provider_id=data["provider"].pk if data["provider"] else None,
        department_id=department,
        statuses=data["statuses"],
        language=data["language"],
        tag_id=tag,
    )
    return control.draft(
        **common,
        source=BulkSource.FILTERS,
        people=visits,
        filters=filters,
        variables=bulk_audience.VARIABLES,
        object_type=bulk_audience.OBJECT_TYPE,
    )


@require(Can.SEND_BULK)
def bulk_words(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Step 2. Saved words are checked at once; then the send's own page shows the numbers."""
    bulk = get_or_404(BulkSend.objects.all(), pk)
    if bulk.state not in EDITABLE:
        return redirect("notifications:bulk_detail", pk=bulk.pk)
    options = {
        "templates": words.usable_templates(bulk),
        "may_be_urgent": bulk.message_class == MessageClass.SERVICE,
    }
    if request.method == "POST":
        form = WordsForm(request.POST, **options)
        if form.is_valid():
            try:
                with transaction.atomic():
                    control.words_set(actor=request.user, bulk=bulk, **form.wish())
                    control.check(actor=request.user, bulk=bulk)
            except DomainError as error:
                form.refuse(error)
            else:
                return redirect("notifications:bulk_detail", pk=bulk.pk)
    else:
        form = WordsForm(initial=_words_of(bulk), **options)
    context = {
        "bulk": bulk,
        "form": form,
        "chips": chips_of(bulk),
        "people": bulk.recipients.count(),
        "has_templates": bool(options["templates"]),
    }
    return render(request, "notifications/bulk_words.html", context, status=422 if form.is_bound else 200)


def _words_of(bulk: BulkSend) -> dict[str, Any]:
    """What was saved before, for the form."""
    first = next(iter(bulk.words.values()), None)
    own = {name: first[name] for name in WordsForm.TEXTS} if first and not first["code"] else {}
    code = first["code"] if first else ""
    return {"template": code, "channel": bulk.channel, "is_urgent": bulk.is_urgent, **own}


@require(Can.SEND_BULK)
def bulk_closed(request: HttpRequest) -> HttpResponse:
    """“Clinic closed”: one page from the day to the check. The words are ready in both languages."""
    is_sent = request.method == "POST"
    form = ClosedForm(request.POST if is_sent else None, initial={"day": timezone.localdate(), **CLOSED_TEXTS})
    if is_sent and form.is_valid():
        try:
            bulk = _closed(request, form)
        except DomainError as error:
            form.refuse(error)
        else:
            return redirect("notifications:bulk_detail", pk=bulk.pk)
    context = {"form": form, "chips": chips_of(BulkSend(variables=list(bulk_audience.VARIABLES)))}
    return render(request, "notifications/bulk_closed.html", context, status=422 if is_sent else 200)


@transaction.atomic
def _closed(request: HttpRequest, form: ClosedForm) -> BulkSend:
    data = form.cleaned_data
    location = data["location"]
    zone: zoneinfo.ZoneInfo = location.zone if location else zone_of(request.user)
    starts, ends = form.span(zone)
    # What has begun is no longer to be called off.
    starts = max(starts, timezone.now())
    location_id = location.pk if location else None
    people = bulk_audience.visits(starts=starts, ends=ends, location_id=location_id)
    bulk = control.draft(
        actor=request.user,
        name=f"{BulkSource.CLOSED.label}: {data['day']:%Y-%m-%d}",
        source=BulkSource.CLOSED,
        message_class=MessageClass.SERVICE,
        people=people,
        filters={"visits_from": data["day"].isoformat(), **({"location": str(location.pk)} if location else {})},
        variables=bulk_audience.VARIABLES,
        object_type=Appointment._meta.label_lower,
        is_urgent=True,
    )
    control.words_set(
        actor=request.user,
        bulk=bulk,
        texts={"body_en": data["body_en"], "body_ar": data["body_ar"]},
        channel=data["channel"],
        is_urgent=True,
    )
    control.check(actor=request.user, bulk=bulk)
    return bulk
