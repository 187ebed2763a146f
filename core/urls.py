"""Addresses of the account, the home pages and the patients. Included at the root."""

from __future__ import annotations

from django.urls import include, path

from core.views import (
    account,
    account_factor,
    account_page,
    account_password,
    audit,
    guardians,
    language,
    patient_merge,
    patient_silence,
    patients,
    rights,
    tags,
)
from core.views.home import home
from core.views.own_messages import own_messages

app_name = "core"

urlpatterns = [
    path("", home, name="home"),
    path("sign-in/", account.sign_in, name="sign_in"),
    path("sign-in/code/", account.sign_in_code, name="sign_in_code"),
    path("sign-in/forgot/", account_password.password_forgot, name="password_forgot"),
    path("sign-in/password/<uidb64>/<token>/", account_password.password_link, name="password_link"),
    path("account/", account_page.account, name="account"),
    path("account/password/", account_password.password_change, name="password_change"),
    path("account/second-step/", account_factor.second_factor_enable, name="second_factor_enable"),
    path("account/second-step/off/", account_factor.second_factor_disable, name="second_factor_disable"),
    path("account/second-step/codes/", account_factor.recovery_codes, name="recovery_codes"),
    path("account/second-step/codes/file/", account_factor.recovery_codes_file, name="recovery_codes_file"),
    path("account/sessions/end/", account_page.sessions_end, name="sessions_end"),
    path("account/sessions/<slug:handle>/end/", account_page.session_end, name="session_end"),
    path("sign-out/", account.sign_out, name="sign_out"),
    path("language/", language.set_language, name="set_language"),
    path("patients/", patients.patient_list, name="patient_list"),
    path("patients/create/", patients.patient_create, name="patient_create"),
    path("patients/duplicates/", patients.patient_duplicates, name="patient_duplicates"),
    path("patients/<uuid:pk>/", patients.patient_detail, name="patient_detail"),
    path("patients/<uuid:pk>/edit/", patients.patient_update, name="patient_update"),
    path(
        "patients/<uuid:pk>/addresses/<uuid:stopped_pk>/lift/",
        patients.patient_address_lift,
        name="patient_address_lift",
    ),
    path("patients/<uuid:pk>/tags/", tags.patient_tags, name="patient_tags"),
    path("patients/twins/", patient_merge.patient_twins, name="patient_twins"),
    path("patients/<uuid:pk>/merge/", patient_merge.patient_merge, name="patient_merge"),
    path("patients/<uuid:pk>/restriction/", patient_silence.patient_restriction, name="patient_restriction"),
    path("patients/<uuid:pk>/wrong-number/", patient_silence.patient_number_wrong, name="patient_number_wrong"),
    path("patients/<uuid:pk>/guardians/create/", guardians.guardian_create, name="guardian_create"),
    path("guardians/<uuid:pk>/edit/", guardians.guardian_update, name="guardian_update"),
    path("guardians/<uuid:pk>/<slug:verb>/", guardians.guardian_action, name="guardian_action"),
    path("subfiles/<uuid:pk>/consent/", patients.consent_verify, name="consent_verify"),
    path("my-messages/", own_messages, name="own_messages"),
    path("rights/", rights.rights_list, name="rights_list"),
    path("rights/<uuid:pk>/", rights.rights_detail, name="rights_detail"),
    path("rights/<uuid:pk>/<slug:verb>/", rights.rights_action, name="rights_action"),
    path("rights/copies/<uuid:pk>/", rights.rights_copy, name="rights_copy"),
    path("patients/<uuid:pk>/rights/", rights.patient_rights, name="patient_rights"),
    path("patients/<uuid:pk>/holds/create/", rights.hold_create, name="hold_create"),
    path("holds/<uuid:pk>/lift/", rights.hold_lift, name="hold_lift"),
    path("settings/", include("core.settings_urls")),
    path("audit/", audit.audit_trail, name="audit"),
    path("audit/export/", audit.audit_export, name="audit_export"),
    path("audit/looks/", audit.look_log, name="looks"),
]
