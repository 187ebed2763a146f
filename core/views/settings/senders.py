"""How messages leave: each channel's way, the clinic group's own accounts, and a test of either."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages as notes
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core.access import Can, get_or_404, require
from core.errors import DomainError
from core.models import User
from core.provider_forms import AccountForm, SmtpForm, TrialForm, TwilioForm, UnifonicForm
from core.views.settings.pages import save
from integrations import credentials, health, provider_trials, sms_providers
from integrations.health import Way
from integrations.models import ProviderAccount, ProviderState
from notifications import trials
from notifications.models import Message
from notifications.states import Channel, Status
from notifications.views.timeline import provider_name

Kind = ProviderAccount.Kind
_FORMS: dict[str, type[AccountForm]] = {Kind.TWILIO: TwilioForm, Kind.UNIFONIC: UnifonicForm, Kind.SMTP: SmtpForm}
_STATES = ProviderState.State
_TONES = {_STATES.CLOSED: "ok", _STATES.OPEN: "bad", _STATES.HALF_OPEN: "warn", _STATES.STOPPED: "bad"}
_CALL_BACK = (Kind.TWILIO, Kind.UNIFONIC)
# Nothing more is to be waited for, as far as this page can know.
_UNDER_WAY = (Status.QUEUED, Status.SENDING)
_WAITS_FOR_WORD = (Status.SENT, Status.UNCONFIRMED)
# A report usually comes within seconds; a page that nobody closes must not ask for ever.
_PATIENCE = dt.timedelta(minutes=3)


@dataclass(frozen=True, slots=True)
class Line:
    """A way on the page."""

    way: Way
    name: str
    is_own: bool
    tone: str
    form: TrialForm | None


@dataclass(frozen=True, slots=True)
class Card:
    """A kind of account: what the clinic group has of it."""

    kind: str
    label: str
    icon: str
    carries: str
    account: ProviderAccount | None


@require(Can.MANAGE_SETTINGS)
@require_safe
def senders(request: HttpRequest) -> HttpResponse:
    return _page(request)


@require(Can.MANAGE_SETTINGS)
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest, kind: str) -> HttpResponse:
    """The account of one kind: its form, filled in but for the secret."""
    there = _account(kind)
    kept = {"kept": there.last_four, "has_secret": bool(there.secret)} if there is not None else {}
    form = _FORMS[kind](request.POST or None, initial=_initial(there), **kept)
    if request.method == "POST":
        done = _("Saved. Messages go over this account from now on. Send a test to be sure.")
        if save(request, form, credentials.account_save, done=done, kind=kind) is not None:
            return redirect("core:settings_senders")
    context = {"form": form, "kind": kind, "label": Kind(kind).label, "account": there}
    return render(request, "core/settings/account_form.html", context, status=422 if form.errors else 200)


@require(Can.MANAGE_SETTINGS)
@require_POST
def account_remove(request: HttpRequest, kind: str) -> HttpResponse:
    there = _account(kind)
    if there is None:
        raise Http404
    credentials.account_remove(actor=request.user, account=there)
    notes.success(request, _("The account was removed."))
    return redirect("core:settings_senders")


@require(Can.MANAGE_SETTINGS)
@require_POST
def trial_send(request: HttpRequest) -> HttpResponse:
    """A test over one way, to the admin's own phone or mailbox."""
    form = TrialForm(request.POST)
    if not form.is_valid():
        return _page(request, refused=form, status=422)
    provider, _colon, channel = form.cleaned_data["way"].partition(":")
    if channel not in Channel.values:
        raise Http404
    try:
        message = provider_trials.trial_send(
            actor=request.user, provider=provider, channel=channel, number=form.cleaned_data["number"]
        )
    except (DomainError, ValidationError) as error:
        text = error.messages[0] if isinstance(error, ValidationError) else str(error)
        form.add_error("number" if isinstance(error, ValidationError) else None, text)
        return _page(request, refused=form, status=422)
    return redirect("core:settings_trial", message.pk)


@require(Can.MANAGE_SETTINGS)
@require_safe
@never_cache
def trial(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """What became of a test, in words; for htmx the words alone."""
    message = get_or_404(Message.objects.filter(trials.IS_TRIAL), pk)
    context = {
        "message": message,
        "provider": provider_name(trials.provider_of(message.dedupe_key)),
        **_verdict(message),
    }
    template = "partials/trial_verdict.html" if request.htmx else "trial.html"
    return render(request, f"core/settings/{template}", context)


# --- the page --------------------------------------------------------------------------------------------------------


def _page(request: HttpRequest, *, refused: TrialForm | None = None, status: int = 200) -> HttpResponse:
    ways = [way for way in health.ways() if not way.sender]
    channels = [
        (channel, [_line(way, request.user, refused) for way in ways if way.channel == channel])
        for channel in Channel.values
    ]
    there = {row.kind: row for row in credentials.of_tenant()}
    context = {
        "channels": channels,
        "cards": [_card(kind, there.get(kind)) for kind in Kind],
        "refused": refused,
        # Twilio and Unifonic report by calling us.
        "is_unreachable": any(sms_providers.kind_of_name(way.provider) in _CALL_BACK for way in ways)
        and not is_reachable(),
        "address": settings.PUBLIC_BASE_URL,
    }
    return render(request, "core/settings/senders.html", context, status=status)


def is_reachable() -> bool:
    """Whether a provider on the internet can call us back: reports and replies come that way."""
    address = urlsplit(settings.PUBLIC_BASE_URL)
    return address.scheme == "https" and credentials.is_public_host(address.hostname or "")


def _line(way: Way, user: User, refused: TrialForm | None) -> Line:
    key = f"{way.provider}:{way.channel}"
    is_this = refused is not None and refused.data.get("way") == key
    form = refused if is_this else TrialForm(initial={"way": key}, auto_id=f"trial_{way.channel}_%s")
    return Line(
        way=way,
        name=capfirst(provider_name(way.provider)),
        is_own=sms_providers.is_own(way.provider),
        tone=_TONES[way.state],
        form=form,
    )


def _card(kind: Kind, row: ProviderAccount | None) -> Card:
    icon, carries = {
        Kind.TWILIO: ("message", _("SMS and WhatsApp")),
        Kind.UNIFONIC: ("device-mobile", _("SMS in Saudi Arabia")),
        Kind.SMTP: ("mail", _("Email")),
    }[kind]
    return Card(kind, str(kind.label), icon, carries, row)


def _account(kind: str) -> ProviderAccount | None:
    if kind not in _FORMS:
        raise Http404
    return ProviderAccount.objects.filter(kind=kind, retired_at=None).first()


def _initial(row: ProviderAccount | None) -> dict[str, Any]:
    if row is None:
        return {}
    names = ("login", "sms_sender", "whatsapp_sender", "email_sender")
    initial: dict[str, Any] = {name: getattr(row, name) for name in names}
    if row.server:
        server = urlsplit(row.server)
        initial |= {"host": server.hostname, "port": server.port, "security": server.scheme.partition("+")[2]}
    return initial


def _verdict(message: Message) -> dict[str, Any]:
    """Tone, one sentence, and whether there is more to wait for."""
    is_young = timezone.now() - message.created_at < _PATIENCE
    words = {"provider": provider_name(message.provider or trials.provider_of(message.dedupe_key))}
    is_mail = message.channel == Channel.EMAIL
    waits = is_young and (message.status in _UNDER_WAY or (message.status in _WAITS_FOR_WORD and not is_mail))
    match message.status:
        case Status.QUEUED | Status.SENDING:
            tone, sentence = "info", _("It is on its way.")
        case Status.SENT if is_mail:
            tone, sentence = "ok", _("The mail server took it. Look into your mailbox, and into the spam folder.")
        case Status.SENT:
            tone, sentence = "info", _("%(provider)s took it. Its report has not come yet.") % words
        case Status.DELIVERED | Status.READ:
            tone, sentence = "ok", _("It arrived. This way works.")
        case Status.UNCONFIRMED:
            tone, sentence = "warn", _("%(provider)s did not answer in time. It may still arrive.") % words
        case _:
            tone, sentence = (
                "bad",
                _refusal(message) or str(message.get_reason_display() or message.get_status_display()),
            )
    return {"tone": tone, "sentence": sentence, "waits": waits}


def _refusal(message: Message) -> str:
    """Why the provider did not take it, in our words with its code."""
    if not message.error_code:
        return ""
    reason = health.explain(message.provider, message.error_code)
    if not reason:
        # Ours too, as it stands in the catalogue.
        reason = _(message.error_message) if message.error_message else _("The provider gives no reason.")
    return _("%(explanation)s (code %(code)s).") % {"explanation": reason.rstrip("."), "code": message.error_code}
