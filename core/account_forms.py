"""Forms of the account. They parse and check what a person typed; the services write."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.password_validation import password_validators_help_texts
from django.utils.translation import gettext_lazy as _

from core.models import Language, User


def _password(label: Any, autocomplete: str, help_text: Any = "") -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": autocomplete, "dir": "ltr"})
    return forms.CharField(label=label, strip=False, max_length=200, widget=widget, help_text=help_text)


def _code(label: Any, *, help_text: Any = "", max_length: int = 12, is_number: bool = True) -> forms.CharField:
    attrs = {
        "autocomplete": "one-time-code" if is_number else "off",
        "inputmode": "numeric" if is_number else "text",
        "dir": "ltr",
        "spellcheck": "false",
        "autocapitalize": "none",
        "class": "x-code",
    }
    return forms.CharField(label=label, max_length=max_length, widget=forms.TextInput(attrs=attrs), help_text=help_text)


class CodeForm(forms.Form):
    """The second step of signing in."""

    code = _code(_("Code from your authenticator app"), help_text=_("Six digits. It changes every 30 seconds."))
    is_remembered = forms.BooleanField(label=_("Do not ask again in this browser for 30 days"), required=False)


class RecoveryForm(forms.Form):
    """The second step without the phone."""

    code = _code(
        _("Recovery code"),
        help_text=_("One of the codes that you kept when you set this up. Each works once."),
        max_length=20,
        is_number=False,
    )


class ProveForm(forms.Form):
    """Password and code, before something is taken away or shown."""

    password = _password(_("Your password"), "current-password")
    code = _code(_("Code from your authenticator app"))


class EnableForm(ProveForm):
    """The same, with the secret that is being set up, sealed."""

    sealed = forms.CharField(max_length=200, widget=forms.HiddenInput)


class ForgotForm(forms.Form):
    email = forms.EmailField(
        label=_("Email"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "username", "dir": "ltr", "spellcheck": "false"}),
    )


class NewPasswordForm(SetPasswordForm):  # type: ignore[type-arg]  # generic for the type checker only
    """A new password, twice. It is checked here and saved by ``core.accounts``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, label in (("new_password1", _("New password")), ("new_password2", _("New password again"))):
            self.fields[name] = _password(label, "new-password")
        self.rules = password_validators_help_texts()

    def save(self, commit: bool = True) -> Any:  # noqa: FBT001, FBT002  # Django's own signature
        raise NotImplementedError("core.accounts writes passwords, with all that follows from a new one")


class ChangePasswordForm(NewPasswordForm):
    current_password = _password(_("Your password now"), "current-password")
    field_order = ["current_password", "new_password1", "new_password2"]


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for the type checker only
    """What people may change about themselves. ``cleaned_data`` goes to ``core.accounts``."""

    class Meta:
        model = User
        fields = ("name_en", "name_ar", "language")
        widgets = {
            "name_en": forms.TextInput(attrs={"dir": "ltr", "autocomplete": "name"}),
            "name_ar": forms.TextInput(attrs={"dir": "rtl", "autocomplete": "off"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name_en"].label = _("Name in English")
        self.fields["name_ar"].label = _("Name in Arabic")
        language = self.fields["language"]
        assert isinstance(language, forms.ChoiceField)
        language.label = _("Language")
        language.choices = Language.choices
        language.help_text = _("Of these pages, and of emails to you.")
