"""The list, its files and its links in the hands of somebody who tries everything."""

from __future__ import annotations

import csv
import datetime as dt
import io
import uuid

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conftest import Clinic
from core import csv_rows
from core.keyset import Place
from core.models import Role, User
from core.tenancy import tenant_scope
from integrations.tests.bulk_rows import running
from notifications import export_rows, exports
from notifications.message_filters import MessageFilterForm
from notifications.models import Brand, LinkClick, Message, MessageExport, ShortLink
from notifications.states import Status
from notifications.tests.test_message_list import LIST, shown, write
from notifications.tests.test_short_links import PHONE, counting, send, sent_long_ago, template, visit
from tests.factories import PatientFactory, UserFactory

__all__ = ["counting", "template"]
UNSEEN = "\u061c\u200b\u200e\u202a\u202e\u2066\u2068\ufeff"


@pytest.fixture(autouse=True)
def no_doorbell(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is called by hand."""
    monkeypatch.setattr("core.queueing.publish", lambda *_args, **_options: True)


# --- the list --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["%%", "__", "%_", "\\\\", "' OR 1=1 --", '";DROP TABLE x;', "(?:.*)", "[[", "$$"])
def test_what_means_something_to_a_database_means_itself(clinic: Clinic, typed: str) -> None:
    write(clinic)
    assert shown(clinic, q=typed) == set()
    named = write(clinic, patient=PatientFactory(tenant=clinic.tenant, name_en=f"A{typed}B"))
    assert shown(clinic, q=typed.strip()) == {named.pk}


@pytest.mark.parametrize(
    "query",
    [
        {"until": "9999-12-31"}, {"since": "0001-01-01"}, {"since": "9999-12-31", "until": "9999-12-31"},
        {"page": "9" * 300}, {"older": "A" * 5000}, {"older": "\x00"}, {"newer": "f" + "_" * 31},
    ],
    ids=str,
)  # fmt: skip
def test_days_and_cursors_beyond_all_calendars_are_a_page(clinic: Clinic, query: dict[str, str]) -> None:
    write(clinic)
    for address in (LIST, reverse("notifications:message_export"), reverse("notifications:analytics")):
        assert clinic.client(clinic.admin).get(address, query).status_code in (200, 422), address


@pytest.mark.parametrize("field", ["q", "status", "template", "sent_by", "bulk", "patient", "since", "provider"])
def test_a_nul_in_a_filter_is_a_refusal(clinic: Clinic, field: str) -> None:
    assert clinic.client(clinic.front_desk).get(LIST, {field: "a\x00b"}).status_code == 422


def test_a_nul_in_the_search_for_a_patient_finds_whom_the_rest_names(clinic: Clinic) -> None:
    page = clinic.client(clinic.front_desk).get("/patients/", {"q": f"\x00{clinic.patient.mrn}\x00"})
    assert [one.pk for one in page.context["page"].object_list] == [clinic.patient.pk]


def test_a_cursor_that_names_another_clinics_message_shows_only_ones_own(clinic: Clinic, other_clinic: Clinic) -> None:
    mine = write(clinic)
    with tenant_scope(other_clinic.tenant.pk):
        theirs = write(other_clinic)
    cursor = str(Place.of(theirs, "created_at"))
    assert shown(clinic, older=cursor) == {mine.pk}
    assert shown(clinic, newer=cursor) == {mine.pk}
    assert shown(clinic, q=str(theirs.pk)) == set()


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", [*UNSEEN, " ", "\u00a0"])
@pytest.mark.parametrize("sign", "=+-@\t\r＝")
def test_nothing_unseen_hides_a_formula(mark: str, sign: str) -> None:
    assert csv_rows.harmless(f"{mark}{sign}cmd|' /C calc'!A0").startswith("'")
    assert mark in export_rows.DANGEROUS
    assert sign in export_rows.DANGEROUS


def test_a_name_that_hides_a_formula_is_harmless_in_the_list_of_those_who_did_not_get_it(clinic: Clinic) -> None:
    one = PatientFactory(tenant=clinic.tenant, name_en="\u202a=cmd|' /C calc'!A0", language="en")
    bulk = running(clinic, [one])
    Message.objects.update(status=Status.BOUNCED)
    answer = clinic.client(clinic.admin).post(reverse("notifications:bulk_missed", args=[bulk.pk]))
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    row = list(csv.reader(io.StringIO(text)))[1]
    assert row[1].startswith("'")


def ready(clinic: Clinic, user: User) -> MessageExport:
    write(clinic)
    form = MessageFilterForm({})
    assert form.is_valid()
    export = exports.ask(user=user, key=uuid.uuid4(), form=form, file_format="CSV", with_text=True)
    assert exports.make(clinic.tenant.pk, export.pk)
    export.refresh_from_db()
    return export


def address_of(export: MessageExport) -> str:
    return reverse("notifications:message_export_download", args=[export.pk])


def test_a_file_whose_time_is_over_is_not_given_out_though_nobody_has_deleted_it_yet(clinic: Clinic) -> None:
    export = ready(clinic, clinic.admin)
    client = clinic.client(clinic.admin)
    assert client.get(address_of(export)).status_code == 200
    MessageExport.objects.filter(pk=export.pk).update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    assert client.get(address_of(export)).status_code == 404


def test_a_file_is_not_for_a_colleague_nor_for_its_maker_in_another_role(clinic: Clinic, other_clinic: Clinic) -> None:
    second = UserFactory(tenant=clinic.tenant, role=Role.ADMIN, email="second@noor.example")
    export = ready(clinic, second)
    for other in (clinic.admin, other_clinic.admin):
        assert clinic.client(other).get(address_of(export)).status_code == 404
    client = clinic.client(second)
    User.objects.filter(pk=second.pk).update(role=Role.PROVIDER)
    assert client.get(address_of(export)).status_code == 403
    User.objects.filter(pk=second.pk).update(role=Role.ADMIN, is_active=False)
    assert client.get(address_of(export)).status_code == 302


# --- short links -----------------------------------------------------------------------------------------------------


def test_one_person_who_comes_again_from_two_devices_counts_as_one_message(
    clinic: Clinic, template: object, counting: Brand
) -> None:
    link = sent_long_ago(send(clinic))
    for agent in (PHONE, PHONE, f"{PHONE} Other/1"):
        visit(link, agent)
    assert LinkClick.objects.values("message").distinct().count() == 1


@pytest.mark.parametrize("target", ["//evil.example/c/abcd", "/c/../../evil", "/\\evil.example", "/c/abcd?next=//evil"])
def test_a_target_that_is_no_page_of_ours_leads_nowhere(
    clinic: Clinic, template: object, counting: Brand, target: str
) -> None:
    link = sent_long_ago(send(clinic))
    ShortLink.objects.filter(pk=link.pk).update(target=target)
    assert visit(link).status_code == 404


def test_a_forged_host_does_not_choose_where_a_link_leads(clinic: Clinic, template: object, counting: Brand) -> None:
    link = sent_long_ago(send(clinic))
    answer = Client().get(f"/l/{link.code}", headers={"Host": "127.0.0.1", "X-Forwarded-Host": "evil.example"})
    assert answer["Location"] == f"http://127.0.0.1:8000{link.target}"
