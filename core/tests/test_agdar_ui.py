"""The tags and filters of the pages: what they write, in both languages."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest
from django import forms
from django.apps import apps
from django.conf import settings
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import translation

from core import context
from core.templatetags import agdar_ui

SPRITE = set(re.findall(r'<symbol id="([^"]+)"', (Path(settings.BASE_DIR) / "static/icons.svg").read_text()))
# 10:05 in Riyadh, 11:05 in Dubai
MOMENT = dt.datetime(2026, 11, 23, 7, 5, 9, tzinfo=dt.UTC)


def write(source: str, **values: object) -> str:
    return Template("{% load agdar_ui %}" + source).render(Context(values)).strip()


@pytest.fixture(autouse=True)
def _year(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agdar_ui.timezone, "localdate", lambda: dt.date(2026, 11, 23))


class Place:
    def __init__(self, zone: str) -> None:
        import zoneinfo

        self.zone = zoneinfo.ZoneInfo(zone)


def test_an_icon_is_decoration_from_the_sprite():
    html = write('{% icon "send" "i-sm i-dir" %}')
    assert 'class="i i-sm i-dir"' in html
    assert 'aria-hidden="true"' in html
    assert "icons.svg#send" in html


def test_every_icon_that_a_page_or_a_table_names_is_in_the_sprite():
    named = set()
    for page in Path(settings.BASE_DIR).rglob("templates/**/*.html"):
        if ".venv" not in page.parts:
            named |= set(re.findall(r'{%\s*icon\s+"([^"]+)"', page.read_text()))
            named |= set(re.findall(r'icon_name="([^"]+)"', page.read_text()))
    named |= {name for name, _word in agdar_ui.CHANNELS.values()}
    named |= {name for _tone, name in agdar_ui.LEVELS.values()}
    named |= {name for _start, name in agdar_ui.EVENT_ICONS}
    for groups in context.NAVIGATION.values():
        named |= {entry.icon for _label, entries in groups for entry in entries}
    assert named <= SPRITE, f"missing in static/icons.svg: {sorted(named - SPRITE)}"


@pytest.mark.parametrize("label", sorted(agdar_ui.STATUS_CLASSES))
def test_every_status_of_every_model_has_a_badge(label):
    model = apps.get_model(label)
    # A bulk send and a request about data call it their state.
    name = "state" if label in ("notifications.BulkSend", "core.RightsRequest") else "status"
    assert set(agdar_ui.STATUS_CLASSES[label]) == {value for value, _label in model._meta.get_field(name).choices}


def test_a_badge_says_the_status_and_wears_its_colour():
    message = apps.get_model("notifications.Message")(status="DELIVERED")
    assert write("{% status_badge it %}", it=message) == '<span class="st ok">Delivered</span>'
    visit = apps.get_model("appointments.Appointment")(status="NO_SHOW")
    assert write("{% status_badge it %}", it=visit) == '<span class="st bad">No-show</span>'


def test_an_unknown_status_is_an_error_not_a_grey_badge():
    with pytest.raises(KeyError):
        agdar_ui.status_class(apps.get_model("notifications.Message")(status="LOST"))


def test_a_channel_is_an_icon_and_a_word():
    html = write('{% channel_label "WHATSAPP" %}')
    assert "icons.svg#brand-whatsapp" in html
    assert ">WhatsApp</span>" in html
    assert "icons.svg#bell" in write('{% channel_label "IN_APP" %}')


def test_initials_are_in_the_readers_script():
    person = apps.get_model("core.Patient")(name_en="Sara Al-Mutairi", name_ar="سارة المطيري")
    assert agdar_ui.initials(person) == "SM"
    with translation.override("ar"):
        assert agdar_ui.initials(person) == "سم"
        assert agdar_ui.initials(apps.get_model("core.Patient")(name_en="Omar Haddad")) == "OH"


def test_a_time_is_on_the_clock_of_the_place():
    assert write("{{ at|clock:place }}", at=MOMENT, place=Place("Asia/Riyadh")) == (
        '<bdi dir="ltr" class="num">10:05</bdi>'
    )
    assert ">11:05<" in write("{{ at|clock:place }}", at=MOMENT, place=Place("Asia/Dubai"))
    assert ">11:05<" in write('{{ at|clock:"Asia/Dubai" }}', at=MOMENT)
    assert ">10:05<" in write("{{ at|clock }}", at=MOMENT)
    assert ">10:05:09<" in write("{{ at|clock_seconds }}", at=MOMENT)


def test_a_day_is_written_short_in_english_and_whole_in_arabic():
    assert ">Mon 23 Nov<" in write("{{ at|day }}", at=MOMENT)
    assert ">Mon 23 Nov, 10:05<" in write("{{ at|daytime }}", at=MOMENT)
    assert ">Mon 4 Jan 2027<" in write("{{ at|day }}", at=dt.date(2027, 1, 4))
    with translation.override("ar"):
        assert ">الاثنين 23 نوفمبر<" in write("{{ at|day }}", at=MOMENT)


def test_the_day_changes_at_the_places_midnight():
    late = dt.datetime(2026, 11, 23, 20, 30, tzinfo=dt.UTC)
    assert ">Mon 23 Nov<" in write('{{ at|day:"Asia/Riyadh" }}', at=late)
    assert ">Tue 24 Nov<" in write('{{ at|day:"Asia/Dubai" }}', at=late)


@pytest.mark.parametrize("name", ["clock", "clock_seconds", "day", "daytime", "phone", "ltr", "money"])
def test_nothing_is_written_for_nothing(name):
    assert write(f"{{{{ it|{name} }}}}", it="" if name in ("phone", "ltr") else None) == ""


def test_numbers_keep_their_direction_and_are_escaped():
    assert write("{{ it|phone }}", it="+966501234567") == '<bdi dir="ltr" class="num nw">+966 50 123 4567</bdi>'
    assert write("{{ it|ltr }}", it="<b>") == '<bdi dir="ltr" class="num">&lt;b&gt;</bdi>'


def test_money_comes_in_minor_units():
    assert ">1,250.00 SAR<" in write("{{ it|money:'SAR' }}", it=125000)
    assert ">0.05 SAR<" in write("{{ it|money }}", it=5)
    assert ">1.00 EUR<" in write("{{ it|money:'EUR' }}", it=100)


def test_minutes_count_a_begun_one():
    assert agdar_ui.minutes(dt.timedelta(seconds=61)) == 2


class VisitForm(forms.Form):
    name = forms.CharField(help_text="As in the passport")
    notes = forms.CharField(required=False, widget=forms.Textarea)
    silent = forms.BooleanField(required=False)
    kind = forms.ChoiceField(choices=[("a", "A")], widget=forms.RadioSelect)


def test_a_field_ties_label_help_and_error_to_its_control():
    form = VisitForm({})
    html = write('{% field form.name placeholder="x" hx_get="/y/" %}', form=form)
    assert '<label class="fl" for="id_name">Name</label>' in html
    assert 'aria-describedby="id_name_helptext id_name_error"' in html
    assert 'id="id_name_helptext"' in html
    assert 'id="id_name_error"' in html
    assert 'class="in"' in html
    assert 'placeholder="x"' in html
    assert 'hx-get="/y/"' in html
    assert "optional" not in html
    assert "optional" in write("{% field form.notes %}", form=form)
    assert 'class="x-check"' in write("{% field form.silent %}", form=form)
    assert "<fieldset" in write("{% field form.kind %}", form=form)


def test_the_summary_of_a_refused_form_leads_to_the_fields():
    html = write("{% form_errors form %}", form=VisitForm({}))
    assert 'role="alert"' in html
    assert 'href="#id_name"' in html
    assert "notes" not in html
    assert write("{% form_errors form %}", form=VisitForm()) == ""


def test_the_query_keeps_the_other_filters():
    request = RequestFactory().get("/?q=a+b&page=2")
    assert write("{% query page=3 %}", request=request) == "q=a+b&amp;page=3"
    assert write("{% query page=None %}", request=request) == "q=a+b"
