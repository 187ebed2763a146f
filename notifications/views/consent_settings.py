"""What patients agree to, how much is enough, and the proof of stops. Below /settings/."""

from __future__ import annotations

from django.contrib import messages as notes
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from core import audit
from core.access import Can, require
from core.csv_rows import csv_lines
from core.errors import DomainError
from notifications import consents, opt_log, sending_rules
from notifications.consent_states import Purpose
from notifications.models import OptEvent, SendingRule
from notifications.states import NotificationType
from notifications.wish_forms import ConsentTextForm, SendingRuleForm

_RULES = "rules"


@require(Can.MANAGE_SETTINGS)
def consent_settings(request: HttpRequest) -> HttpResponse:
    """One form for the rules and one for the words of each purpose; each is saved on its own (``part``)."""
    sent = request.POST.get("part", "") if request.method == "POST" else ""
    tenant_id = request.user.tenant_id
    rule = sending_rules.of(tenant_id)
    rules = SendingRuleForm(request.POST if sent == _RULES else None, initial=_rule_values(rule))
    in_force = {purpose.value: consents.text_in_force(tenant_id, purpose) for purpose in Purpose}
    texts = {
        value: ConsentTextForm(
            request.POST if sent == value else None,
            initial={"words_en": text.words_en, "words_ar": text.words_ar},
            prefix=value,
        )
        for value, text in in_force.items()
    }
    form = rules if sent == _RULES else texts.get(sent)
    if form is not None and form.is_valid():
        try:
            if isinstance(form, SendingRuleForm):
                sending_rules.rule_set(actor=request.user, values=form.values())
            else:
                consents.text_set(actor=request.user, purpose=sent, **form.cleaned_data)
        except DomainError as error:
            form.add_error(None, str(error))
        else:
            notes.success(request, _("Saved. It holds from now on."))
            return redirect("core:settings_consents")
    cards = [
        {"form": texts[purpose.value], "label": purpose.label, "value": purpose.value, "text": in_force[purpose.value]}
        for purpose in Purpose
    ]
    context = {"rules": rules, "cards": cards, "stops": OptEvent.objects.count()}
    status = 422 if request.method == "POST" else 200
    return render(request, "notifications/consent_settings.html", context, status=status)


@require(Can.ADMINISTER)
@require_POST
def opt_log_export(request: HttpRequest) -> HttpResponse:
    """The log of stops with its seals as CSV. POST, because it leaves a row in the audit trail."""
    tenant_id = request.user.tenant_id
    audit.record(
        tenant_id=tenant_id,
        actor=request.user,
        action="opt_log.exported",
        after={"whole": opt_log.broken_at(tenant_id) is None},
    )
    # Read here: the tenant's scope is closed before an answer is streamed.
    response = HttpResponse("".join(csv_lines(opt_log.proof_rows(tenant_id))), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="opt-outs-{timezone.localdate()}.csv"'
    response["Cache-Control"] = "private, no-store"
    return response


def _rule_values(rule: SendingRule) -> dict[str, object]:
    caps = sending_rules.caps_of(rule)
    return {
        "whatsapp_needs_consent": rule.whatsapp_needs_consent,
        "wakes_within_minutes": rule.wakes_within_minutes,
        **{f"cap_{kind}": caps.get(kind) for kind in NotificationType.values},
    }
