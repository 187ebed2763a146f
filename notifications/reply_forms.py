"""Forms of the pages around replies: the answer by hand, a task's end, the rules, a sender's capabilities."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from core.errors import DomainError
from notifications.forms import MAX_BODY
from notifications.states import Channel, TaskKind

_NUMBER = {"class": "num", "dir": "ltr", "inputmode": "numeric"}


class _Form(forms.Form):
    def refuse(self, error: DomainError) -> None:
        """A refusal of the service, in the form."""
        self.add_error(None, str(error))


class AnswerForm(_Form):
    """Words of a person's own, to the number of the conversation."""

    key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    channel = forms.ChoiceField(label=_("Channel"))
    body = forms.CharField(
        label=_("Your answer"), max_length=MAX_BODY, widget=forms.Textarea(attrs={"rows": 4, "dir": "auto"})
    )

    def __init__(self, *args: Any, is_window_open: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # WhatsApp takes free words for a day after the patient's last one; SMS at any time.
        allowed = [Channel.WHATSAPP, Channel.SMS] if is_window_open else [Channel.SMS]
        self.fields["channel"].choices = [(one.value, one.label) for one in allowed]  # type: ignore[attr-defined]


class TaskFilterForm(forms.Form):
    """Which tasks are shown. Nonsense in the address shows all that is open."""

    kind = forms.ChoiceField(label=_("What to do"), required=False, choices=[("", _("Everything")), *TaskKind.choices])
    show = forms.ChoiceField(label=_("State"), required=False, choices=[("", _("Open")), ("ended", _("Done or over"))])


class RulesForm(_Form):
    emergency_number = forms.CharField(
        label=_("Emergency number"),
        max_length=40,
        widget=forms.TextInput(attrs=_NUMBER),
        help_text=_("Stands in the text to somebody who writes a word of danger."),
    )
    most_a_minute = forms.IntegerField(
        label=_("Replies a minute"),
        min_value=2,
        max_value=60,
        widget=forms.NumberInput(attrs=_NUMBER),
        help_text=_("More of them from one number come from a machine: nobody is answered, the desk looks."),
    )
    emergency_words = forms.CharField(
        label=_("More words of danger"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "dir": "auto"}),
        help_text=_("One on each line, in either language. The usual ones are known already."),
    )


class CapabilityForm(_Form):
    two_way = forms.BooleanField(label=_("Patients can reply to it"), required=False)
    dlr = forms.BooleanField(label=_("It reports what was delivered"), required=False)
    max_sender_len = forms.IntegerField(
        label=_("Longest name"), min_value=1, max_value=20, widget=forms.NumberInput(attrs=_NUMBER)
    )
    url_hosts = forms.CharField(
        label=_("Allowed hosts of links"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "dir": "ltr"}),
        help_text=_("One on each line; empty: any."),
    )
