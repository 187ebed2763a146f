"""Addresses below /settings/. Included by ``core/urls.py``, in its namespace."""

from __future__ import annotations

from django.urls import path

from appointments.views import reminder_rules
from core.views import tags
from core.views.settings import clinic, overview, places, senders, users
from notifications.views import consent_settings, message_classes, reply_rules

urlpatterns = [
    path("classes/", message_classes.classes, name="settings_classes"),
    path("replies/", reply_rules.reply_rules, name="settings_replies"),
    path("consents/", consent_settings.consent_settings, name="settings_consents"),
    path("consents/proof/", consent_settings.opt_log_export, name="settings_opt_log"),
    path("", overview.overview, name="settings"),
    path("clinic/", clinic.clinic, name="settings_clinic"),
    path("hours/", clinic.hours, name="settings_hours"),
    path("reminders/", reminder_rules.reminder_rules, name="settings_reminders"),
    path("reminders/<uuid:pk>/", reminder_rules.department_reminders, name="settings_reminders_department"),
    path("retention/", clinic.retention, name="settings_retention"),
    path("second-step/", clinic.second_step, name="settings_second_step"),
    path("locations/", places.locations, name="settings_locations"),
    path("locations/create/", places.location_create, name="settings_location_create"),
    path("locations/<uuid:pk>/", places.location_update, name="settings_location"),
    path("locations/<uuid:pk>/<slug:verb>/", places.location_action, name="settings_location_action"),
    path("departments/", places.departments, name="settings_departments"),
    path("departments/<uuid:pk>/", places.department_update, name="settings_department"),
    path("departments/<uuid:pk>/<slug:verb>/", places.department_action, name="settings_department_action"),
    path("tags/", tags.tag_list, name="settings_tags"),
    path("tags/<uuid:pk>/", tags.tag_update, name="settings_tag"),
    path("tags/<uuid:pk>/delete/", tags.tag_delete, name="settings_tag_delete"),
    path("senders/", senders.senders, name="settings_senders"),
    path("senders/test/", senders.trial_send, name="settings_trial_send"),
    path("senders/tests/<uuid:pk>/", senders.trial, name="settings_trial"),
    path("senders/<slug:kind>/", senders.account, name="settings_account"),
    path("senders/<slug:kind>/remove/", senders.account_remove, name="settings_account_remove"),
    path("users/", users.users, name="settings_users"),
    path("users/create/", users.user_create, name="settings_user_create"),
    path("users/<uuid:pk>/", users.user_update, name="settings_user"),
    path("users/<uuid:pk>/<slug:verb>/", users.user_action, name="settings_user_action"),
]
