"""What people type about tags."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from core import tags
from core.models import Patient, PatientTag
from core.settings_forms import SettingsForm, name_fields


class TagForm(SettingsForm):
    field_of: ClassVar[dict[str, str]] = {"name_missing": "name_en", "name_taken": "name_en"}
    name_en, name_ar = name_fields()
    is_health = forms.BooleanField(
        label=_("It says something about health or treatment"),
        required=False,
        help_text=_("Such a tag is never offered for advertising."),
    )

    @staticmethod
    def initial_of(tag: PatientTag) -> dict[str, Any]:
        return {name: getattr(tag, name) for name in ("name_en", "name_ar", "is_health")}


class PatientTagsForm(SettingsForm):
    """Which tags a patient has."""

    tags = forms.MultipleChoiceField(label=_("Tags"), required=False, widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, patient: Patient, **kwargs: Any) -> None:
        self._offered = {str(tag.pk): tag for tag in tags.all_tags()}
        chosen = [str(pk) for pk in tags.tags_of(patient).values_list("pk", flat=True)]
        super().__init__(*args, **{"initial": {"tags": chosen}, **kwargs})
        self.fields["tags"].choices = [(key, tag.name) for key, tag in self._offered.items()]

    def wish(self) -> dict[str, Any]:
        return {"tags": [self._offered[key] for key in self.cleaned_data["tags"]]}
