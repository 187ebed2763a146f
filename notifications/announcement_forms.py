"""What an admin types for an announcement: both languages side by side, and who is told. The service decides."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from core.errors import DomainError
from core.models import Role
from notifications.announcements import MAX_BODY, MAX_TITLE, ROLES

_FIELD_OF = {
    "role_unknown": "role",
    "nobody": "role",
    "empty": "title_en",
    **{f"{name}_{why}": name for name in ("title_en", "title_ar", "body_en", "body_ar") for why in ("missing", "long")},
}


def _title(label: Any, language: str) -> forms.CharField:
    attrs = {"lang": language, "dir": "rtl" if language == "ar" else "ltr", "autocomplete": "off"}
    return forms.CharField(label=label, max_length=MAX_TITLE, required=False, widget=forms.TextInput(attrs=attrs))


def _body(label: Any, language: str) -> forms.CharField:
    attrs = {"lang": language, "dir": "rtl" if language == "ar" else "ltr", "rows": 6}
    return forms.CharField(label=label, max_length=MAX_BODY, required=False, widget=forms.Textarea(attrs=attrs))


@dataclass(frozen=True, slots=True)
class Choice:
    """A line of "who is told"."""

    value: str
    id: str
    label: Any
    people: int
    is_chosen: bool


class AnnouncementForm(forms.Form):
    role = forms.ChoiceField(
        label=_("Who is told"),
        required=False,
        choices=[("", _("All staff")), *((role.value, role.label) for role in ROLES)],
        widget=forms.RadioSelect,
    )
    title_en = _title(_("Title in English"), "en")
    body_en = _body(_("Text in English"), "en")
    title_ar = _title(_("Title in Arabic"), "ar")
    body_ar = _body(_("Text in Arabic"), "ar")
    # The form's own key: pressed twice, or sent again by the browser, is one announcement.
    key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, counts: Mapping[str, int], **kwargs: Any) -> None:
        super().__init__(*args, **{"initial": {"key": uuid.uuid4(), "role": ""}, **kwargs})
        self.counts = counts

    def choices(self) -> list[Choice]:
        chosen = self["role"].value() or ""
        labels: dict[str, Any] = {"": _("All staff"), **{role.value: Role(role).label for role in ROLES}}
        return [
            Choice(value, f"id_role_{value.lower() or 'all'}", label, self.counts[value], value == chosen)
            for value, label in labels.items()
        ]

    def chosen(self) -> Choice:
        """The one that was chosen; all staff while nothing that exists is."""
        options = self.choices()
        return next((one for one in options if one.is_chosen), options[0])

    def refuse(self, error: DomainError) -> None:
        self.add_error(_FIELD_OF.get(error.code), str(error))
