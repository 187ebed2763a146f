"""The staff's preferences: what they hear of, how, and when not. Each has their own; patients have none."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages as notes
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from core.access import Can, require
from core.errors import DomainError
from core.models import Holiday, Role
from notifications import quiet, staff_preferences
from notifications.models import StaffPreference
from notifications.preference_forms import StaffPreferenceForm
from notifications.states import Frequency, StaffChannel
from notifications.views.preferences_words import days, quiet_words, weekdays, when


@require(Can.USE_BELL)
@require_http_methods(["GET", "HEAD", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    """The page. Refused, it comes again with everything as it was typed."""
    _staff_only(request)
    preference = staff_preferences.preference_of(request.user)
    form = _form(request, preference)
    if form.is_bound and form.is_valid():
        try:
            staff_preferences.staff_preference_update(actor=request.user, values=form.wish())
        except DomainError as error:
            form.add_error(None, str(error))
        else:
            notes.success(request, _("Your preferences are saved."))
            return redirect("notifications:preferences")
    # What stands in the form is what the sentences are about; a refused form has none, so they tell what still holds.
    holds = form.preview() if form.is_bound and form.is_valid() else preference
    context = {"form": form, **_page(request), **_sentences(request, holds)}
    return render(request, "notifications/preferences.html", context, status=422 if form.is_bound else 200)


@require(Can.USE_BELL)
@require_POST
def preferences_quiet(request: HttpRequest) -> HttpResponse:
    """The sentences for what is being chosen; nothing is saved. POST, as the form is."""
    _staff_only(request)
    form = _form(request, StaffPreference(user=request.user))
    context = _sentences(request, form.preview()) if form.is_valid() else {"words": None, "summary": ""}
    return render(request, "notifications/partials/preferences_live.html", context)


def _staff_only(request: HttpRequest) -> None:
    if request.user.role == Role.PATIENT:
        raise PermissionDenied


def _form(request: HttpRequest, preference: StaffPreference) -> StaffPreferenceForm:
    location = request.user.location
    return StaffPreferenceForm(
        request.POST if request.method == "POST" else None,
        preference=preference,
        place=location.timezone if location else settings.TIME_ZONE,
    )


def _holidays(request: HttpRequest) -> list[Holiday]:
    """Those of the person's place, in the order of their days."""
    place = request.user.location_id
    near = staff_preferences.holidays_near(timezone.now()).order_by("first_day", "pk")
    return [one for one in near if one.location_id in (None, place)]


def _sentences(request: HttpRequest, preference: StaffPreference) -> dict[str, Any]:
    """Quiet time in plain words, and when the next summary goes."""
    now, holidays = timezone.now(), _holidays(request)
    schedule = staff_preferences.schedule_of(preference, request.user.location, holidays)
    summary = ""
    if preference.frequency != Frequency.IMMEDIATE:
        due = staff_preferences.next_digest(preference, schedule, now)
        summary = _("The next summary goes at %(time)s.") % {"time": when(due, schedule.zone, now)}
    return {"words": quiet_words(schedule, holidays, now), "summary": summary}


def _page(request: HttpRequest) -> dict[str, Any]:
    """What the page says about the person's place, whatever they choose."""
    location = request.user.location
    today = timezone.localdate(timezone=location.zone if location else None)
    holiday = next((one for one in _holidays(request) if one.last_day >= today), None)
    month = quiet.ramadan_near(today)
    set_up = staff_preferences.ways_set_up(request.user)
    return {
        "columns": [
            (channel, channel in set_up or channel in (StaffChannel.IN_APP, StaffChannel.EMAIL))
            for channel in StaffChannel
        ],
        "weekend": weekdays(staff_preferences.weekend_of(location)),
        "place": location.name if location else "",
        "holiday": holiday,
        "holiday_days": days(holiday.first_day, holiday.last_day) if holiday else "",
        "ramadan_days": days(*month) if month else "",
        "is_ramadan": bool(month and month[0] <= today <= month[1]),
    }
