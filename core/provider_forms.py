"""The forms of a clinic group's own provider accounts. A secret is typed, never shown: an empty one keeps what there is."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.settings_forms import SettingsForm

_LTR = {"dir": "ltr", "class": "num", "autocomplete": "off", "spellcheck": "false"}
_SMS_HELP = _("A registered name of at most 11 English letters, or a number. Empty: this account sends no SMS.")


def _secret(label: Any) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=300,
        required=False,
        # A password manager must not offer the admin's own.
        widget=forms.PasswordInput(attrs={"dir": "ltr", "autocomplete": "new-password"}),
    )


class AccountForm(SettingsForm):
    """``kept``: the last characters of the secret that stays when none is typed."""

    def wish(self) -> dict[str, Any]:
        """The service takes what was typed as one: each kind of account has other fields."""
        return {"fields": self.cleaned_data}

    def __init__(self, *args: Any, kept: str = "", has_secret: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if has_secret:
            self.fields["secret"].help_text = (
                gettext("Leave it empty to keep the one that ends in %(last)s.") % {"last": kept}
                if kept
                else gettext("Leave it empty to keep the one that is saved.")
            )


class TwilioForm(AccountForm):
    login = forms.CharField(
        label=_("Account SID"), max_length=60, help_text=_("Begins with AC."), widget=forms.TextInput(attrs=_LTR)
    )
    secret = _secret(_("Auth token"))
    sms_sender = forms.CharField(
        label=_("SMS sender"), max_length=40, required=False, help_text=_SMS_HELP, widget=forms.TextInput(attrs=_LTR)
    )
    whatsapp_sender = forms.CharField(
        label=_("WhatsApp number"),
        max_length=30,
        required=False,
        help_text=_("Empty: this account sends no WhatsApp."),
        widget=forms.TextInput(attrs=_LTR),
    )


class UnifonicForm(AccountForm):
    secret = _secret(_("AppSid"))
    sms_sender = forms.CharField(label=_("Sender ID"), max_length=40, widget=forms.TextInput(attrs=_LTR))


class SmtpForm(AccountForm):
    host = forms.CharField(label=_("Server"), max_length=200, widget=forms.TextInput(attrs=_LTR))
    port = forms.IntegerField(
        label=_("Port"),
        min_value=1,
        max_value=65535,
        initial=587,
        widget=forms.NumberInput(attrs={**_LTR, "inputmode": "numeric"}),
    )
    security = forms.ChoiceField(
        label=_("Encryption"),
        required=False,
        choices=[("tls", "STARTTLS"), ("ssl", "TLS"), ("", _("None"))],
        initial="tls",
    )
    login = forms.CharField(label=_("User name"), max_length=200, required=False, widget=forms.TextInput(attrs=_LTR))
    secret = _secret(_("Password"))
    email_sender = forms.CharField(
        label=_("From"),
        max_length=254,
        help_text=_("Such as Clinic <clinic@example.com>."),
        widget=forms.TextInput(attrs=_LTR),
    )


class TrialForm(SettingsForm):
    """Where a test goes: an email needs no answer, the address is the admin's own."""

    field_of: ClassVar[dict[str, str]] = {}
    way = forms.CharField(max_length=40, widget=forms.HiddenInput)
    number = forms.CharField(
        label=_("Your mobile phone"),
        max_length=30,
        required=False,
        widget=forms.TextInput(
            attrs={"dir": "ltr", "class": "num", "inputmode": "tel", "autocomplete": "tel", "placeholder": "05…"}
        ),
    )
