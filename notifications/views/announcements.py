"""Announcements to staff: write, look at what will be posted and to how many, post; and what became of earlier ones."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import messages as notes
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.access import Can, require
from core.errors import DomainError
from core.selectors import zone_of
from notifications import announcements as service
from notifications.announcement_forms import AnnouncementForm
from notifications.models import Notification
from notifications.states import Category, Level

PAGE_SIZE = 20
# The fan-out takes seconds; what nobody has after that was posted long ago and cleaned up since.
ON_ITS_WAY = dt.timedelta(hours=1)


@require(Can.ADMINISTER)
def announcements(request: HttpRequest) -> HttpResponse:
    """GET: the form and the earlier ones. POST goes by its ``step``: review, edit (back to the form), post."""
    counts = service.audience_counts()
    if request.method != "POST":
        return _compose(request, AnnouncementForm(counts=counts), status=200)
    form = AnnouncementForm(request.POST, counts=counts)
    step = request.POST.get("step", "review")
    if step == "edit":
        # What was typed, without complaints.
        return _compose(request, AnnouncementForm(initial=request.POST.dict(), counts=counts), status=200)
    if form.is_valid():
        try:
            service.check(**_words(form))
        except DomainError as error:
            form.refuse(error)
    if not form.is_valid():
        return _compose(request, form, status=422)
    if step != "post":
        return _review(request, form, status=200)
    if request.POST.get("people") != str(form.chosen().people):
        # Somebody has come or left: what was agreed to is not what would happen.
        return _review(request, form, status=409, has_changed=True)
    return _post(request, form)


def _post(request: HttpRequest, form: AnnouncementForm) -> HttpResponse:
    try:
        service.announce(actor=request.user, key=form.cleaned_data["key"], **_words(form))
    except DomainError as error:
        form.refuse(error)
        return _compose(request, form, status=422)
    people = form.chosen().people
    notes.success(
        request,
        ngettext("Posted to %(count)s person.", "Posted to %(count)s people.", people) % {"count": people},
    )
    return redirect("notifications:announcements")


def _words(form: AnnouncementForm) -> dict[str, str]:
    return {name: value for name, value in form.cleaned_data.items() if name != "key"}


def _compose(request: HttpRequest, form: AnnouncementForm, *, status: int) -> HttpResponse:
    page = Paginator(service.posted(), PAGE_SIZE).get_page(request.GET.get("page"))
    reached = service.reached(page.object_list)
    recent = timezone.now() - ON_ITS_WAY
    return render(
        request,
        "notifications/announcements.html",
        {
            "form": form,
            "page": page,
            "rows": [
                {"row": row, "reached": reached.get(row.pk), "is_recent": row.created_at > recent}
                for row in page.object_list
            ],
            "zone": zone_of(request.user),
        },
        status=status,
    )


def _review(request: HttpRequest, form: AnnouncementForm, *, status: int, has_changed: bool = False) -> HttpResponse:
    return render(
        request,
        "notifications/announcement_review.html",
        {
            "form": form,
            "previews": _previews(form),
            "audience": form.chosen(),
            "has_changed": has_changed,
            "zone": zone_of(request.user),
        },
        status=status,
    )


def _previews(form: AnnouncementForm) -> list[dict[str, Any]]:
    """As the bell will show it, in each language that was written."""
    words = form.cleaned_data
    now = timezone.now()
    names = {"en": (_("English"), "ltr"), "ar": (_("Arabic"), "rtl")}
    return [
        {
            "language": language,
            "direction": direction,
            "name": name,
            "notification": Notification(
                title=words[f"title_{language}"],
                message=words[f"body_{language}"],
                notification_type=Level.INFO,
                category=Category.ANNOUNCEMENT,
                event_key=service.EVENT,
                created_at=now,
            ),
        }
        for language, (name, direction) in names.items()
        if words[f"title_{language}"]
    ]
