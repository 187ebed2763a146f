"""What an admin chooses for the clinic group's emails and links. The service decides about colour and picture."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from core.errors import DomainError
from notifications.branding import LOGO_AT_MOST, BrandWish
from notifications.models import Brand

_FIELD_OF = {
    "colour_unknown": "colour",
    "colour_too_light": "colour",
    "logo_too_large": "logo",
    "logo_no_picture": "logo",
    "link_host_unknown": "link_host",
}
_FOOTER_AT_MOST = 500


def _footer(label: Any, language: str) -> forms.CharField:
    attrs = {"lang": language, "dir": "rtl" if language == "ar" else "ltr", "rows": 4}
    return forms.CharField(label=label, max_length=_FOOTER_AT_MOST, required=False, widget=forms.Textarea(attrs=attrs))


class BrandForm(forms.Form):
    colour = forms.CharField(
        label=_("Colour"),
        max_length=7,
        help_text=_("For links and the edge of the letter. It must be dark enough to be read on white."),
        widget=forms.TextInput(attrs={"type": "color"}),
    )
    logo = forms.FileField(
        label=_("Logo"),
        required=False,
        help_text=_("PNG, JPEG or WebP, at most 200 KB. Outlook on Windows shows no WebP."),
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/webp"}),
    )
    remove_logo = forms.BooleanField(label=_("Take the logo away"), required=False)
    footer_en = _footer(_("Footer in English"), "en")
    footer_ar = _footer(_("Footer in Arabic"), "ar")
    reply_to = forms.EmailField(
        label=_("Answers go to"),
        required=False,
        help_text=_("A mailbox that somebody reads. Empty: answers go to the sender."),
        widget=forms.EmailInput(attrs={"dir": "ltr", "autocomplete": "off"}),
    )
    link_host = forms.ChoiceField(
        label=_("Address of short links"),
        required=False,
        help_text=_("Register it with the networks, so that they let messages with links pass."),
    )
    track_clicks = forms.BooleanField(
        label=_("Count who opens the link of a message"),
        required=False,
        help_text=_(
            "Links to the patient's page become short links that count. We keep no address of the patient, and what "
            "programs open by themselves is left out."
        ),
    )
    track_opens = forms.BooleanField(
        label=_("Count who opens an email"),
        required=False,
        help_text=_(
            "By an invisible picture. It tells “opened at least once”, never “not opened”: many mail programs load no "
            "pictures."
        ),
    )

    def __init__(self, *args: Any, brand: Brand, **kwargs: Any) -> None:
        names = ("colour", "footer_en", "footer_ar", "reply_to", "link_host", "track_clicks", "track_opens")
        kwargs.setdefault("initial", {name: getattr(brand, name) for name in names})
        super().__init__(*args, **kwargs)
        if not brand.logo_digest:
            del self.fields["remove_logo"]
        if settings.SHORT_LINK_HOSTS:
            house = settings.PUBLIC_BASE_URL.partition("://")[2]
            field = self.fields["link_host"]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [("", house), *((host, host) for host in settings.SHORT_LINK_HOSTS)]
        else:
            del self.fields["link_host"]

    def clean_logo(self) -> bytes | None:
        """The file's bytes. One that is too large is not even read."""
        upload = self.cleaned_data["logo"]
        if not isinstance(upload, UploadedFile):
            return None
        if upload.size is None or upload.size > LOGO_AT_MOST:
            raise forms.ValidationError(_("The logo is larger than 200 KB. Save it smaller and try again."))
        content: bytes = upload.read()
        return content

    def wish(self) -> BrandWish:
        """What a valid form asks for."""
        data = self.cleaned_data
        return BrandWish(
            colour=data["colour"],
            footer_en=data["footer_en"],
            footer_ar=data["footer_ar"],
            reply_to=data["reply_to"],
            link_host=data.get("link_host", ""),
            track_clicks=data["track_clicks"],
            track_opens=data["track_opens"],
            logo=data["logo"],
            remove_logo=data.get("remove_logo", False),
        )

    def refuse(self, error: DomainError) -> None:
        """Shows the service's refusal at the field that it is about."""
        name = _FIELD_OF.get(error.code)
        self.add_error(name if name in self.fields else None, str(error))
