"""The bytes of a mail: whatever was written is read again, by the rules that every mail server keeps."""

from __future__ import annotations

import base64
import email
import re
from collections.abc import Callable
from dataclasses import replace
from email import policy
from email.message import EmailMessage

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from integrations.providers import letter
from integrations.sms_providers import CalendarFile, Outgoing
from integrations.tests.sandbox_fixtures import outgoing

# No control characters, which no header may hold, and no lone half of a character.
WORDS = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=300)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)) | st.just("\n"), max_size=2000)


@pytest.fixture(autouse=True, scope="module")
def paper_at_hand() -> None:
    """The first letter of a process renders and inlines the frame; no property is about that."""
    for language in ("en", "ar"):
        letter.html(mail(language=language))


def mail(**fields: str) -> Outgoing:
    values = {"subject": "Your visit", "body": "words", "sender": "Noor <desk@noor.example>", "language": "en"}
    return outgoing("sara@mail.example", channel="EMAIL", **values | fields)


def read(content: bytes) -> EmailMessage:
    made = email.message_from_bytes(content, policy=policy.default)
    assert isinstance(made, EmailMessage)
    return made


def part(content: bytes, kind: str) -> str:
    found = read(content).get_body((kind,))
    assert found is not None
    return str(found.get_content())


@given(body=TEXTS)
@example(body="مرحبًا\n" * 40)
@example(body=".\n..\n--=_agdar--\n\nFrom me\n" + "a" * 3000)
@example(body="one \t\n two = \r three\r\n")
def test_every_text_is_read_as_it_was_written(body: str) -> None:
    content = letter.write(mail(body=body)).content
    assert part(content, "plain").replace("\r\n", "\n").rstrip("\n") == re.sub(r"\r\n?", "\n", body).rstrip("\n")


@pytest.mark.parametrize(
    ("body", "encoding"),
    [("Hi,\n\nyour\nvisit\n\nis\non", "quoted-printable"), ("مرحبًا سارة،\nموعدك غدًا", "base64")],
)
def test_a_text_travels_in_the_shorter_of_the_two_encodings(body: str, encoding: str) -> None:
    found = read(letter.write(mail(body=body)).content).get_body(("plain",))
    assert found is not None
    assert found["Content-Transfer-Encoding"] == encoding


@given(body=TEXTS, subject=WORDS, name=WORDS)
@example(body="a" * 500, subject="", name="")
@example(body="ا" * 500, subject="ا" * 500, name="ا" * 200)
def test_every_mail_is_seven_bits_in_short_lines(body: str, subject: str, name: str) -> None:
    clean = re.sub(r'[<>"\\,;:@()\[\]]', "", name)
    content = letter.write(mail(body=body, subject=subject, sender=f"{clean} <desk@noor.example>")).content
    assert content.isascii()
    assert content.endswith(b"\r\n")
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert b"\r" not in content.replace(b"\r\n", b"")
    # RFC 2045 and 2047: 76; what needs no encoding may stand in one line of RFC 5322.
    long = [line for line in content.split(b"\r\n") if len(line) > 76]
    assert all(len(line) < 300 and line.startswith((b"Subject: ", b"From: ")) for line in long)


@given(subject=WORDS)
@example(subject="=?utf-8?b?eA==?=")
@example(subject="تأكيد موعدك مع د. ليلى القحطاني في عيادات نور، فرع العليا 👩‍⚕️")
@example(subject="a" * 998)
def test_every_subject_is_read_as_it_was_written(subject: str) -> None:
    # The reader folds white space around a header and in it; so do mail programs.
    written = letter.write(mail(subject=subject)).content
    assert " ".join(str(read(written)["Subject"]).split()) == " ".join(subject.split())
    # Each encoded word is whole characters (RFC 2047): some mail programs read them one by one.
    for word in re.findall(rb"=\?utf-8\?b\?(.*?)\?=", written):
        base64.b64decode(word, validate=True).decode()


@pytest.mark.parametrize(
    ("sender", "shown", "address"),
    [
        ("desk@noor.example", "", "desk@noor.example"),
        ("Noor, Olaya <desk@noor.example>", "", ""),
        ('"Noor, Olaya" <desk@noor.example>', "Noor, Olaya", "desk@noor.example"),
        ("عيادات نور <desk@noor.example>", "عيادات نور", "desk@noor.example"),
        ("Noor <desk@عيادة.example>", "Noor", "desk@xn--mgber2b7e.example"),
    ],
)
def test_the_sender_is_shown_by_name_and_named_by_address(sender: str, shown: str, address: str) -> None:
    if not address:
        with pytest.raises(ValueError, match="no address"):
            letter.write(mail(sender=sender))
        return
    written = letter.write(mail(sender=sender))
    [found] = read(written.content)["From"].addresses
    assert (found.display_name, found.addr_spec, written.sender) == (shown, address, address)


@pytest.mark.parametrize(
    "to", ["", "sara", "sara@", "@mail.example", "sara@a b.example", "a@x.example, b@y.example", "سارة@mail.example"]
)
def test_what_is_no_address_is_refused(to: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        letter.write(outgoing(to, channel="EMAIL"))


@pytest.mark.parametrize("line_break", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize("field", ["subject", "sender", "to"])
def test_nobody_can_write_a_second_header(field: str, line_break: str) -> None:
    values = {"to": "sara@mail.example", "sender": "desk@noor.example", "subject": "Hello"}
    values[field] += f"{line_break}Bcc: everybody@x.example"
    forged = outgoing(channel="EMAIL", **values)
    for write in (letter.write, letter.as_django):
        with pytest.raises(ValueError, match="line break"):
            write(forged)


def test_both_ways_of_writing_say_the_same() -> None:
    original = mail(body="Hello\nSara\n\nhttps://clinic.example/c/1", subject="موعدك")
    ours, djangos = read(letter.write(original).content), read(letter.as_django(original).message().as_bytes())
    for header in ("Subject", "From", "To", "Message-ID", "Content-Language", "Auto-Submitted"):
        assert ours[header] == djangos[header]
    for kind in ("plain", "html"):
        assert part(bytes(ours), kind).split() == part(bytes(djangos), kind).split()


def test_the_page_shows_paragraphs_lines_and_links_and_nothing_else_of_a_text() -> None:
    page = letter.html(
        mail(body="Dear Sara,\r\nsee\r\n\r\nhttps://clinic.example/c/1\x03", subject="<b>\x01", sender="a@b.c")
    )
    assert ">Dear Sara,<br>see</p>" in page
    assert 'href="https://clinic.example/c/1' in page
    assert page.count("<p ") == 2
    assert page.count("&lt;b&gt;\x01") == 2
    assert ">a@b.c<" in page


ENTRY = CalendarFile("REQUEST", "BEGIN:VCALENDAR\r\nSUMMARY:موعد\r\nEND:VCALENDAR\r\n".encode(), "appointment.ics")


@pytest.mark.parametrize(
    "write", [lambda mail: letter.write(mail).content, lambda mail: letter.as_django(mail).message().as_bytes()]
)
def test_a_calendar_entry_is_an_invitation_beside_the_words_and_a_file_to_open(
    write: Callable[[Outgoing], bytes],
) -> None:
    content = write(replace(mail(body="Hello\n\nمرحبًا"), calendars=(ENTRY,)))
    assert all(len(line) <= 998 for line in content.splitlines())
    made = read(content)
    assert made.get_content_type() == "multipart/mixed"
    words, file = made.iter_parts()
    assert [one.get_content_type() for one in words.iter_parts()] == ["text/plain", "text/html", "text/calendar"]
    invitation = list(words.iter_parts())[-1]
    for one in (invitation, file):
        assert one.get_content_type() == "text/calendar"
        assert one.get_param("method") == "REQUEST"
        assert one.get_content_charset() == "utf-8"
        assert one.get_payload(decode=True).split() == ENTRY.content.split()
    assert (file.get_content_disposition(), file.get_filename()) == ("attachment", "appointment.ics")
    assert invitation.get_content_disposition() is None
    assert part(content, "plain").split() == ["Hello", "مرحبًا"]


# --- the reader's way out --------------------------------------------------------------------------------------------

PREFERENCES = "https://agdar.example/p/abc_-123"


def test_a_mail_says_where_its_reader_chooses_and_how_a_program_unsubscribes() -> None:
    ours = mail(preferences_url=PREFERENCES, unsubscribe_url=f"{PREFERENCES}/stop/billing")
    for content in (letter.write(ours).content, letter.as_django(ours).message().as_bytes()):
        assert read(content)["List-Unsubscribe"] == f"<{PREFERENCES}/stop/billing>"
        assert read(content)["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert (
            part(content, "plain").replace("\r\n", "\n").rstrip().endswith(f"Choose what we send you:\n{PREFERENCES}")
        )
        page = part(content, "html")
        assert f'href="{PREFERENCES}"' in page
        assert page.count("Choose what we send you") == 1


def test_what_is_part_of_the_care_has_no_button_and_staff_have_no_link() -> None:
    for ours in (mail(preferences_url=PREFERENCES), mail()):
        headers = read(letter.write(ours).content)
        assert (headers["List-Unsubscribe"], headers["List-Unsubscribe-Post"]) == (None, None)
    content = letter.write(mail()).content
    assert "Choose" not in part(content, "plain") + part(content, "html")


def test_nobody_writes_headers_through_the_link() -> None:
    with pytest.raises(ValueError, match="line break"):
        letter.write(mail(unsubscribe_url="https://agdar.example/\r\nBcc: all@mail.example"))
