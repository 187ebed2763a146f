"""What an admin notes about WhatsApp's approval of a text. The service decides."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from core.errors import DomainError
from notifications.models import WhatsAppApproval
from notifications.whatsapp_approval import Wish

_FIELD_OF = {"sid_unknown": "content_sid", "sid_missing": "content_sid"}


class ApprovalForm(forms.Form):
    content_sid = forms.CharField(
        label=_("ContentSid"),
        required=False,
        max_length=34,
        help_text=_("Twilio shows it with the text in its Content Template Builder. It begins with HX."),
        widget=forms.TextInput(attrs={"dir": "ltr", "autocomplete": "off", "spellcheck": "false"}),
    )
    category = forms.ChoiceField(
        label=_("Category"),
        choices=WhatsAppApproval.Category.choices,
        help_text=_("Utility for what a visit needs, marketing for everything else. WhatsApp decides in the end."),
    )
    state = forms.ChoiceField(label=_("State"), choices=WhatsAppApproval.State.choices)
    rejection_reason = forms.CharField(
        label=_("Why it was rejected"),
        required=False,
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 2, "dir": "auto"}),
    )

    def __init__(self, *args: Any, approval: WhatsAppApproval, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {name: getattr(approval, name) for name in self.base_fields})
        super().__init__(*args, **kwargs)

    def clean_content_sid(self) -> str:
        return str(self.cleaned_data["content_sid"]).strip()

    def wish(self) -> Wish:
        return Wish(**self.cleaned_data)

    def refuse(self, error: DomainError) -> None:
        self.add_error(_FIELD_OF.get(error.code), str(error))
