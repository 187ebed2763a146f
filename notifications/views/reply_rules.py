"""Replies and senders, below /settings/: words of danger, the guard against machines, what each sender can do."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages as notes
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from core.access import Can, require
from core.errors import DomainError
from notifications import capabilities
from notifications import reply_rules as service
from notifications.reply_forms import CapabilityForm, RulesForm

RULES = "rules"


@dataclass(frozen=True, slots=True)
class Card:
    """A sender and its form."""

    sender: capabilities.Sender
    form: CapabilityForm


@require(Can.MANAGE_SETTINGS)
def reply_rules(request: HttpRequest) -> HttpResponse:
    """One form for the rules, one for each sender; each is saved on its own (``part``)."""
    part = request.POST.get("part", "") if request.method == "POST" else ""
    form, cards = _rules_form(request, part), _cards(request, part)
    sent = form if part == RULES else next((card.form for card in cards if card.sender.key == part), None)
    if sent is not None and sent.is_valid():
        try:
            _save(request, part, form, cards)
        except DomainError as error:
            sent.refuse(error)
        else:
            notes.success(request, _("Saved. It holds from the next reply on."))
            return redirect("core:settings_replies")
    context = {"form": form, "cards": cards}
    return render(request, "notifications/reply_rules.html", context, status=422 if request.method == "POST" else 200)


def _save(request: HttpRequest, part: str, form: RulesForm, cards: list[Card]) -> None:
    if part == RULES:
        service.reply_rules_set(actor=request.user, **form.cleaned_data)
        return
    card = next(card for card in cards if card.sender.key == part)
    row = card.sender.capability
    capabilities.capability_set(actor=request.user, channel=row.channel, sender=row.sender, **card.form.cleaned_data)


def _rules_form(request: HttpRequest, part: str) -> RulesForm:
    rules = service.of(request.user.tenant_id)
    initial = {
        "emergency_number": rules.emergency_number,
        "most_a_minute": rules.most_a_minute,
        "emergency_words": "\n".join(rules.emergency_words),
    }
    return RulesForm(request.POST if part == RULES else None, initial=initial)


def _cards(request: HttpRequest, part: str) -> list[Card]:
    return [
        Card(
            one,
            CapabilityForm(
                request.POST if part == one.key else None,
                auto_id=f"{one.anchor}_%s",
                initial={
                    "two_way": one.capability.two_way,
                    "dlr": one.capability.dlr,
                    "max_sender_len": one.capability.max_sender_len,
                    "url_hosts": "\n".join(one.capability.url_hosts),
                },
            ),
        )
        for one in capabilities.senders(request.user.tenant_id)
    ]
