"""Forms of a patient's wishes: the page behind the signed link, and what staff write down on the file's page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from core.clocks import ClockField
from core.errors import DomainError
from core.models import Language
from notifications.consent_states import ConsentStatus, Method, Purpose
from notifications.models import NotificationPreference
from notifications.models.preference import OPTIONAL_TYPES, cell
from notifications.states import Channel, NotificationType

SWITCHES = {Channel.SMS: "sms_enabled", Channel.WHATSAPP: "whatsapp_enabled", Channel.EMAIL: "email_enabled"}
_TYPE_SWITCHES = {
    NotificationType.REMINDER: "reminders_enabled",
    NotificationType.CONFIRMATION: "confirmations_enabled",
    NotificationType.RESULTS: "results_enabled",
    NotificationType.BILLING: "billing_enabled",
}
# How a patient would say it, not how our lists call it.
KINDS = {
    NotificationType.REMINDER: _("Reminders of appointments"),
    NotificationType.CONFIRMATION: _("Confirmations of appointments"),
    NotificationType.RESULTS: _("Results are ready"),
    NotificationType.BILLING: _("Bills and payments"),
}


class WishForm(forms.Form):
    """What the reader wants, as one page. ``values()`` goes to ``preference_update``."""

    awareness_enabled = forms.BooleanField(required=False)
    marketing_enabled = forms.BooleanField(required=False)
    preferred_channel = forms.ChoiceField(label=_("Write to me first by"), choices=Channel.choices)
    preferred_language = forms.ChoiceField(label=_("Language of messages"), required=False)
    quiet_from = ClockField(label=_("Quiet from"), required=False)
    quiet_until = ClockField(label=_("Quiet until"), required=False)
    combine_family = forms.BooleanField(
        label=_("One message for the whole family where several have an appointment on one day"), required=False
    )

    def __init__(self, data: Any = None, *, wishes: NotificationPreference) -> None:
        self.wishes = wishes
        names = ("awareness_enabled", "marketing_enabled", "preferred_channel", "preferred_language")
        initial = {name: getattr(wishes, name) for name in (*names, "quiet_from", "quiet_until", "combine_family")}
        super().__init__(data, initial=initial)
        language = self.fields["preferred_language"]
        assert isinstance(language, forms.ChoiceField)
        language.choices = [("", _("As in the patient's file")), *Language.choices]
        for channel, name in SWITCHES.items():
            self.fields[name] = forms.BooleanField(label=channel.label, required=False)
            self.initial[name] = getattr(wishes, name)
            for kind in OPTIONAL_TYPES:
                place = cell(channel, kind)
                self.fields[place] = forms.BooleanField(label=channel.label, required=False)
                self.initial[place] = wishes.wants(channel, kind)

    def channels(self) -> list[forms.BoundField]:
        return [self[name] for name in SWITCHES.values()]

    def rows(self) -> Iterator[tuple[Any, list[forms.BoundField]]]:
        """The matrix: a kind of message and its squares."""
        for kind in OPTIONAL_TYPES:
            yield KINDS[kind], [self[cell(channel, kind)] for channel in SWITCHES]

    def refuse(self, error: DomainError) -> None:
        self.add_error("quiet_from" if error.code in ("quiet_half", "quiet_same") else None, str(error))

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        preferred = data.get("preferred_channel")
        is_any_on = any(data.get(name) for name in SWITCHES.values())
        if preferred and is_any_on and not data.get(SWITCHES[Channel(preferred)]):
            self.add_error("preferred_channel", _("This channel is switched off below. Choose one that is on."))
        return data

    def values(self) -> dict[str, Any]:
        """A kind that is off everywhere is off as such; one square off is one square."""
        data = self.cleaned_data
        values = {name: data[name] for name in SWITCHES.values()}
        off: list[str] = []
        for kind, switch in _TYPE_SWITCHES.items():
            squares = {cell(channel, kind): data[cell(channel, kind)] for channel in SWITCHES}
            values[switch] = any(squares.values())
            if values[switch]:
                off += [place for place, is_on in squares.items() if not is_on]
        named = ("awareness_enabled", "marketing_enabled", "preferred_channel", "preferred_language", "combine_family")
        values |= {name: data[name] for name in (*named, "quiet_from", "quiet_until")}
        return {**values, "switched_off": sorted(off)}


class ConsentWordForm(forms.Form):
    """What a patient has said to the staff, or signed."""

    purpose = forms.ChoiceField(label=_("Purpose"), choices=Purpose.choices)
    channel = forms.ChoiceField(label=_("Channel"), required=False)
    status = forms.ChoiceField(
        label=_("Answer"),
        choices=[(one.value, one.label) for one in ConsentStatus if one not in ("none", "expired")],
    )
    method = forms.ChoiceField(label=_("How"), choices=[(one.value, one.label) for one in (Method.STAFF, Method.PAPER)])
    evidence = forms.CharField(
        label=_("Evidence"), required=False, max_length=300, help_text=_("Where the signed form is kept, for instance.")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        channel = self.fields["channel"]
        assert isinstance(channel, forms.ChoiceField)
        channel.choices = [("", _("All channels")), *Channel.choices]

    def word(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in ("purpose", "channel", "status", "method", "evidence")}


class ConsentTextForm(forms.Form):
    """The words of one purpose in both languages."""

    words_en = forms.CharField(
        label=_("In English"), max_length=2000, widget=forms.Textarea(attrs={"rows": 3, "dir": "ltr", "lang": "en"})
    )
    words_ar = forms.CharField(
        label=_("In Arabic"), max_length=2000, widget=forms.Textarea(attrs={"rows": 3, "dir": "rtl", "lang": "ar"})
    )


class SendingRuleForm(forms.Form):
    """Caps a day, WhatsApp, who is woken."""

    whatsapp_needs_consent = forms.BooleanField(
        label=_("Write on WhatsApp only to those who have agreed to it"), required=False
    )
    wakes_within_minutes = forms.IntegerField(
        label=_("Minutes before a visit that the clinic calls off, within which quiet hours do not hold"),
        min_value=0,
        max_value=1440,
        help_text=_("0: nobody is woken."),
    )

    CAPPED = (*OPTIONAL_TYPES, NotificationType.AWARENESS, NotificationType.MARKETING)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for kind in self.CAPPED:
            self.fields[f"cap_{kind}"] = forms.IntegerField(
                label=kind.label, required=False, min_value=0, max_value=100
            )

    def caps(self) -> list[forms.BoundField]:
        return [self[f"cap_{kind}"] for kind in self.CAPPED]

    def values(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {
            "whatsapp_needs_consent": data["whatsapp_needs_consent"],
            "wakes_within_minutes": data["wakes_within_minutes"],
            "daily_caps": {kind.value: data[f"cap_{kind}"] or 0 for kind in self.CAPPED},
        }
