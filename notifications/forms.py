"""The form of a single message. Parses and checks; changes nothing. The list's filters: ``message_filters.py``."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from core.models import Patient
from core.tenancy import current_tenant_id
from integrations import credentials
from notifications import gate
from notifications.states import Channel, NotificationType, Reason

# Twilio refuses longer texts (error 21617), and nobody reads them on a phone.
MAX_BODY = 1600


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
    return bool(credentials.providers_for(Channel(channel), current_tenant_id()))
