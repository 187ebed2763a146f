"""What goes out beside the words: each clinic group's own paper, the picture that counts, one read for a whole batch."""

from __future__ import annotations

import email
from email import policy

import pytest

from conftest import Clinic
from core.tenancy import tenant_scope
from integrations import delivery, enclosures
from integrations.messaging_service import MessagingService
from integrations.outbox import Origin
from integrations.providers import letter
from integrations.tests.fakes import FakeProvider
from integrations.tests.sandbox_fixtures import outgoing
from notifications import branding, short_links
from notifications.branding import BrandWish
from notifications.models import Message
from notifications.states import Channel, Lane


def write(clinic: Clinic, key: str = "k") -> Message:
    with tenant_scope(clinic.tenant.pk):
        return MessagingService().send_message(
            tenant_id=clinic.tenant.pk,
            patient_id=clinic.patient.pk,
            channel=Channel.EMAIL,
            subject="A notice",
            body="We have moved.",
            dedupe_key=f"{clinic.tenant.slug}:{key}",
        )


def brand(clinic: Clinic, **fields: object) -> None:
    with tenant_scope(clinic.tenant.pk):
        branding.brand_set(actor=clinic.admin, wish=BrandWish(colour="#0f6b5c", **fields))  # type: ignore[arg-type]


def test_every_clinic_group_writes_on_its_own_paper(
    clinic: Clinic, other_clinic: Clinic, provider: FakeProvider
) -> None:
    brand(clinic, footer_en="Of Noor", footer_ar="من نور", reply_to="desk@noor.example", track_opens=True)
    mine, theirs = write(clinic), write(other_clinic)
    delivery.drain(Lane.TRANSACTIONAL)
    calls = {call.message_id: call for call in provider.calls}
    branded, plain = calls[str(mine.pk)], calls[str(theirs.pk)]
    assert branded.letterhead is not None
    assert branded.letterhead.name == clinic.tenant.name_in(mine.language)
    assert branded.pixel_url == short_links.pixel_address(mine.pk)
    assert (plain.letterhead, plain.pixel_url) == (None, "")
    made = email.message_from_bytes(letter.write(branded).content, policy=policy.default)
    assert made["Reply-To"] == "desk@noor.example"
    assert str(letter.as_django(branded).message()["Reply-To"]) == "desk@noor.example"
    page = made.get_body(("html",)).get_content()
    assert {"en": "Of Noor", "ar": "من نور"}[mine.language] in page
    assert f'<img src="{branded.pixel_url}" width="1" height="1" alt="">' in page
    text = made.get_body(("plain",)).get_content()
    words, *_invitation, link = [line for line in text.splitlines() if line.strip()]
    assert words == "We have moved."
    assert "/p/" in link, "the way to one's preferences"


def test_the_picture_is_only_for_patients_and_only_where_it_is_wished(clinic: Clinic, provider: FakeProvider) -> None:
    brand(clinic)
    staff = MessagingService().send_to_user(
        user=clinic.admin, dedupe_key="s", origin=Origin(), subject="For staff", body="Hello"
    )
    patient = write(clinic)
    found = enclosures.enclosures_of(clinic.tenant.pk, [staff, patient])
    assert [found[one.pk]["pixel_url"] for one in (staff, patient)] == ["", ""]
    brand(clinic, track_opens=True)
    found = enclosures.enclosures_of(clinic.tenant.pk, [staff, patient])
    assert found[staff.pk]["pixel_url"] == ""
    assert found[patient.pk]["pixel_url"].endswith(".gif")


def test_a_batch_is_dressed_in_two_queries_however_long(
    clinic: Clinic, provider: FakeProvider, django_assert_num_queries: object
) -> None:
    emails = [write(clinic, str(number)) for number in range(5)]
    with django_assert_num_queries(1):  # type: ignore[operator]
        plain = enclosures.enclosures_of(clinic.tenant.pk, emails)
    assert all(set(fields) == {"preferences_url", "unsubscribe_url"} for fields in plain.values())
    brand(clinic, track_opens=True)
    with django_assert_num_queries(2):  # type: ignore[operator]
        assert len(enclosures.enclosures_of(clinic.tenant.pk, emails)) == 5
    with django_assert_num_queries(0):  # type: ignore[operator]
        assert enclosures.enclosures_of(clinic.tenant.pk, []) == {}


@pytest.mark.parametrize("reply_to", ["desk@noor.example\r\nBcc: all@x.example", "desk"])
def test_nobody_writes_a_header_by_the_answers_address(clinic: Clinic, reply_to: str) -> None:
    brand(clinic)
    kept = branding.brand_of(clinic.tenant.pk)
    assert kept is not None
    kept.reply_to = reply_to
    head = branding.letterheads(kept)["en"]
    sent = outgoing("sara@mail.example", channel="EMAIL", sender="Noor <desk@noor.example>", letterhead=head)
    for make in (letter.write, letter.as_django):
        with pytest.raises(ValueError, match=r"line break|no address"):
            make(sent)
