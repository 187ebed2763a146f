"""The benchmarks of the message list and of exports at a small size: that they ask for what they say."""

from __future__ import annotations

from django.utils import timezone

from benchmarks import export, message_list
from benchmarks.__main__ import NAMES
from benchmarks.inbox_page import Visitor
from benchmarks.staff_bell.seed import _sign_in
from benchmarks.year.seed import Group, Year
from conftest import Clinic
from notifications import default_words
from notifications.message_filters import MessageFilterForm
from notifications.tests.test_message_list import write
from tests.factories import PatientFactory


def year_of(clinic: Clinic) -> Year:
    group = Group(clinic.tenant.pk, clinic.admin.pk, _sign_in(clinic.admin), _sign_in(clinic.front_desk))
    return Year([group], 3, timezone.now())


def test_they_can_be_called_by_name_and_need_production() -> None:
    assert NAMES["message_list"]
    assert NAMES["export"]


def test_every_filter_of_the_page_is_measured_and_answers(clinic: Clinic) -> None:
    default_words.install(clinic.tenant.pk)
    for _number in range(8):
        PatientFactory(tenant=clinic.tenant)
    for _number in range(3):
        write(clinic)
    year = year_of(clinic)
    views = message_list.views(year)
    measured = {name for query in views.values() for name in query}
    # A bulk send has an index of its own, and the year has none.
    assert measured | {"bulk"} >= set(MessageFilterForm.base_fields) | {"older"}
    visitor = Visitor(year.groups[0].admin_key)
    for query in views.values():
        assert visitor.get(query, message_list.PAGE) > 0


def test_an_export_is_made_and_counted(clinic: Clinic) -> None:
    for _number in range(3):
        write(clinic)
    group = year_of(clinic).groups[0]
    assert export.made("CSV", group, {})[0] == 3
    assert export.made("XLSX", group, {"channel": "SMS"})[0] == 3
