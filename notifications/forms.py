"""Forms of the message pages: the list's filters and a single message. Parse and check; change nothing."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.models import Patient
from integrations import sms_providers
from notifications import gate
from notifications.selectors import PROBLEMS
from notifications.states import Channel, NotificationType, Reason, Status

# Twilio refuses longer texts (error 21617), and nobody reads them on a phone.
MAX_BODY = 1600
PROBLEM = "problem"


class MessageFilterForm(forms.Form):
    """The filters of the message list, from the address. ``selection()`` are the arguments of ``messages_page``."""

    q = forms.CharField(label=_("Search"), max_length=100, required=False)
    status = forms.ChoiceField(label=_("Status"), required=False)
    channel = forms.ChoiceField(label=_("Channel"), required=False)
    type = forms.ChoiceField(label=_("Type"), required=False)
    since = forms.DateField(label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=_("To"), required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["status"].choices = [
            ("", _("Any status")),
            (PROBLEM, _("Needs attention")),
            *Status.choices,
        ]
        self.fields["channel"].choices = [("", _("Any channel")), *Channel.choices]
        self.fields["type"].choices = [("", _("Any type")), *NotificationType.choices]
        for field in self.fields.values():
            field.widget.attrs["class"] = "in"
        self.fields["q"].widget.attrs |= {"type": "search", "placeholder": _("Patient or address")}

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        since, until = data.get("since"), data.get("until")
        if since and until and until < since:
            self.add_error("until", _("The last day is before the first one."))
        return data

    def selection(self, zone: dt.tzinfo) -> dict[str, Any]:
        """Days are those of ``zone``; the last one is part of the range."""
        data = self.cleaned_data
        status = data["status"]
        return {
            "search": data["q"],
            "statuses": sorted(PROBLEMS) if status == PROBLEM else [status] if status else [],
            "channel": data["channel"],
            "notification_type": data["type"],
            "since": _midnight(data["since"], zone),
            "until": _midnight(data["until"] and data["until"] + dt.timedelta(days=1), zone),
        }

    @property
    def is_filtered(self) -> bool:
        return any(self.data.get(name) for name in self.fields)


def _midnight(day: dt.date | None, zone: dt.tzinfo) -> dt.datetime | None:
    return timezone.make_aware(dt.datetime.combine(day, dt.time()), zone) if day else None


class SingleMessageForm(forms.Form):
    """Words typed by a person, to one patient. Channels that are not possible are refused with their reason."""

    channel = forms.ChoiceField(label=_("Channel"), choices=Channel.choices, widget=forms.RadioSelect)
    subject = forms.CharField(label=_("Subject"), max_length=200, required=False)
    body = forms.CharField(label=_("Message"), max_length=MAX_BODY, widget=forms.Textarea(attrs={"rows": 6}))
    # The form's own key: pressed twice, or sent again by the browser, is one message.
    key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, patient: Patient, **kwargs: Any) -> None:
        self.refusals = channel_refusals(patient)
        possible = [channel for channel, reason in self.refusals.items() if reason is None]
        preferred = gate.preference_of(patient).preferred_channel
        first = preferred if preferred in possible else next(iter(possible), "")
        kwargs["initial"] = {"channel": first, "key": uuid.uuid4(), **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)
        self.fields["subject"].widget.attrs |= {"class": "in", "dir": "auto"}
        self.fields["body"].widget.attrs |= {"dir": "auto"}

    @property
    def is_possible(self) -> bool:
        """Is there any channel at all?"""
        return any(reason is None for reason in self.refusals.values())

    def options(self) -> list[dict[str, Any]]:
        """The channels as the page shows them: which can be chosen, and why the others cannot."""
        chosen = self["channel"].value()
        return [
            {
                "value": channel,
                "id": f"id_channel_{channel.lower()}",
                "label": Channel(channel).label,
                "reason": reason.label if reason is not None else "",
                "is_chosen": channel == chosen and reason is None,
            }
            for channel, reason in self.refusals.items()
        ]

    def clean_channel(self) -> str:
        channel: str = self.cleaned_data["channel"]
        reason = self.refusals[channel]
        if reason is not None:
            raise forms.ValidationError(reason.label, code=reason)
        return channel

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("channel") == Channel.EMAIL and not data.get("subject", "").strip():
            self.add_error("subject", _("An email needs a subject."))
        return data


def channel_refusals(patient: Patient) -> dict[str, Reason | None]:
    """Channel → why a message typed by a person may not go over it now, or None."""
    preference = gate.preference_of(patient)
    refusals: dict[str, Reason | None] = {}
    for channel in Channel.values:
        refusals[channel] = gate.refusal_for_patient(
            patient=patient, preference=preference, channel=channel, notification_type=NotificationType.GENERAL
        )
        if refusals[channel] is None and not _is_set_up(channel):
            refusals[channel] = Reason.CHANNEL_DISABLED
    return refusals


def _is_set_up(channel: str) -> bool:
    try:
        sms_providers.provider_for(Channel(channel))
    except sms_providers.ChannelDisabled:
        return False
    return True
