"""Addresses of the visits, and the patient's own link at ``/c/<code>``. Included at the root."""

from __future__ import annotations

from django.urls import path, re_path

from appointments.views import actions, booking, calendar, detail, link, lists, many, offered

app_name = "appointments"

urlpatterns = [
    path("appointments/", lists.appointment_list, name="list"),
    path("appointments/calendar/", calendar.calendar, name="calendar"),
    path("appointments/day/", lists.day, name="day"),
    path("appointments/create/", booking.create, name="create"),
    path("appointments/create/patients/", booking.patients, name="create_patients"),
    path("appointments/create/hints/", booking.hints, name="create_hints"),
    path("appointments/absences/", many.absence_list, name="absences"),
    path("appointments/absences/<uuid:pk>/", many.absence, name="absence"),
    path("appointments/series/<uuid:pk>/", many.series_detail, name="series"),
    path("appointments/waiting/", many.waiting_list, name="waiting"),
    path("appointments/waiting/add/", many.waiting_add, name="waiting_add"),
    path("appointments/waiting/<uuid:pk>/end/", many.waiting_end, name="waiting_end"),
    path("appointments/policy/", many.rules, name="policy"),
    path("appointments/<uuid:pk>/", detail.detail, name="detail"),
    path("appointments/<uuid:pk>/checks/", detail.checks, name="checks"),
    path("appointments/<uuid:pk>/messages/", detail.messages, name="messages"),
    path("appointments/<uuid:pk>/consent/", actions.consent, name="consent"),
    path("appointments/<uuid:pk>/results/", actions.results_ready, name="results_ready"),
    path("appointments/<uuid:pk>/follow-up/", many.follow_up, name="follow_up"),
    path("appointments/<uuid:pk>/<slug:verb>/", actions.action, name="action"),
    path("appointments/<uuid:pk>/link/unlock/", actions.unlock_link, name="unlock_link"),
    re_path(r"^offer/(?P<code>[-a-zA-Z0-9_]+)/?$", offered.offer, name="offer"),
    re_path(r"^series/(?P<code>[-a-zA-Z0-9_]+)/?$", offered.series_page, name="series_link"),
    re_path(r"^again/(?P<code>[-a-zA-Z0-9_]+)/?$", offered.again, name="again"),
    path("c/<slug:code>/times", link.times, name="link_times"),
    path("c/<slug:code>/appointment.ics", link.calendar, name="link_calendar"),
    re_path(r"^c/(?P<code>[-a-zA-Z0-9_]+)/?$", link.link, name="link"),
]
