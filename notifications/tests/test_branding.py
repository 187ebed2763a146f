"""The brand: what is refused, what every email carries, who may change it, and the logo that everybody sees."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from conftest import Clinic
from core.errors import DomainError
from core.models import AuditEvent
from core.tenancy import tenant_scope
from integrations.providers import letter
from notifications import branding, pictures
from notifications.branding import BrandWish
from notifications.models import Brand, BrandLogo
from notifications.views.branding import letter_page

URL = "/settings/brand/"
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


def png(width: int = 480, height: int = 120) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rows = zlib.compress(b"".join(b"\x00" + b"\x20" * 3 * width for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    table = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\x00" + bytes(9)
    return b"\xff\xd8" + table + b"\xff\xc2" + struct.pack(">HBHH", 8, 8, height, width)


def webp(kind: bytes, data: bytes) -> bytes:
    return b"RIFF" + bytes(4) + b"WEBP" + kind + bytes(4) + data


def wish(**fields: Any) -> BrandWish:
    return BrandWish(**{"colour": "#0f6b5c", **fields})


def post(client: Client, **fields: Any) -> Any:
    words = {"colour": "#0f6b5c", "footer_en": "", "footer_ar": "", "reply_to": ""}
    return client.post(URL, words | fields)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (png(480, 120), ("png", 480, 120)),
        (jpeg(300, 200), ("jpg", 300, 200)),
        (webp(b"VP8X", bytes(4) + (299).to_bytes(3, "little") + (99).to_bytes(3, "little")), ("webp", 300, 100)),
        (webp(b"VP8L", b"\x2f" + struct.pack("<I", 299 | 99 << 14)), ("webp", 300, 100)),
        (webp(b"VP8 ", bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", 300, 100)), ("webp", 300, 100)),
    ],
)
def test_a_picture_is_known_by_its_own_bytes(content: bytes, expected: tuple[str, int, int]) -> None:
    found = pictures.read(content)
    assert (found.suffix, found.width, found.height) == expected


@pytest.mark.parametrize(
    "content",
    [b"", b"<svg onload=alert(1)>", GIF, png()[:18], png(0, 5), b"\xff\xd8\xff\xe0", webp(b"VP8L", b""), b"RIFF"],
)
def test_what_is_no_picture_or_broken_is_refused(content: bytes) -> None:
    with pytest.raises(pictures.NoPicture):
        pictures.read(content)


def test_contrast_is_counted_as_wcag_counts_it() -> None:
    assert round(branding.contrast("#000000", "#ffffff"), 1) == 21.0
    assert round(branding.contrast("#767676", "#ffffff"), 2) == 4.54
    for colour in ("#000000", "#0f6b5c", "#8a2f5d", "#3451c9"):
        assert branding.contrast(branding.readable_on("#161b22", colour), "#161b22") >= 4.5


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"colour": "#ffd000"}, "colour_too_light"),
        ({"colour": "red"}, "colour_unknown"),
        ({"colour": "#0f6b5c;background:url(//x)"}, "colour_unknown"),
        ({"logo": b"<svg>"}, "logo_no_picture"),
        ({"logo": png() + bytes(200_000)}, "logo_too_large"),
        ({"link_host": "evil.example"}, "link_host_unknown"),
    ],
)
def test_a_wish_that_would_hurt_is_refused(clinic: Clinic, fields: dict[str, Any], code: str) -> None:
    with pytest.raises(DomainError) as refused:
        branding.brand_set(actor=clinic.admin, wish=wish(**fields))
    assert refused.value.code == code
    assert not Brand.objects.exists()


def test_saving_is_audited_once_without_anybodys_address(clinic: Clinic) -> None:
    for _again in range(2):
        branding.brand_set(actor=clinic.admin, wish=wish(track_clicks=True, reply_to="desk@noor.example"))
    [event] = AuditEvent.objects.filter(action="brand.changed")
    assert event.after == {"colour": "#0f6b5c", "track_clicks": True, "has_reply_to": True}
    assert event.before["track_clicks"] is False
    assert "desk@noor.example" not in str(event.after)


def test_a_letter_carries_logo_colour_footer_and_answers_address(clinic: Clinic, settings: Any) -> None:
    settings.PUBLIC_BASE_URL = "https://m.noor.example"
    brand = branding.brand_set(
        actor=clinic.admin,
        wish=wish(
            logo=png(), footer_en="Noor <b>Clinics</b>\nsee https://noor.example/x", reply_to="desk@noor.example"
        ),
    )
    head = branding.letterheads(brand)["en"]
    assert (head.logo_width, head.logo_height) == (192, 48)
    assert head.logo_url.startswith(f"https://m.noor.example/brand/{clinic.tenant.pk}/{brand.logo_digest[:32]}.png")
    page = letter_page(
        clinic.tenant, brand, subject="Your visit", body="Hello\n\nhttps://m.noor.example/c/1", language="en"
    )
    assert '<html lang="en" dir="ltr">' in page
    assert f'src="/brand/{clinic.tenant.pk}/' in page
    assert 'alt="Noor Clinics"' in page
    assert "color:#0f6b5c;text-decoration:underline" in page
    assert "&lt;b&gt;Clinics&lt;/b&gt;<br>see <a href=" in page
    # Nothing of ours is left to a style sheet that mail programs drop, but for the dark colours.
    style = page[page.index("<style>") : page.index("</style>")]
    assert style.removeprefix("<style>").strip().startswith("@media")


def test_an_arabic_letter_runs_from_the_right_with_its_own_footer(clinic: Clinic) -> None:
    brand = branding.brand_set(actor=clinic.admin, wish=wish(footer_en="Riyadh", footer_ar="الرياض"))
    page = letter_page(clinic.tenant, brand, subject="موعدك", body="مرحبًا", language="ar")
    assert '<html lang="ar" dir="rtl">' in page
    assert "الرياض" in page
    assert "Riyadh" not in page
    assert clinic.tenant.name_ar in page


def test_the_letterhead_is_made_once_for_many_letters(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    whole = letter._INLINER

    class Counting:
        def inline(self, page: str) -> str:
            made.append(page)
            return str(whole.inline(page))

    monkeypatch.setattr(letter, "_INLINER", Counting())
    letter._frame.cache_clear()
    for number in range(20):
        brand = branding.brand_of(clinic.tenant.pk) or branding.brand_set(actor=clinic.admin, wish=wish())
        for language in ("en", "ar"):
            letter_page(clinic.tenant, brand, subject=str(number), body="Hello", language=language)
    assert len(made) == 2


# --- pages -----------------------------------------------------------------------------------------------------------


def test_an_admin_saves_the_brand_with_a_logo(clinic: Clinic) -> None:
    answer = post(
        clinic.client(clinic.admin),
        footer_ar="الرياض",
        track_clicks="on",
        logo=SimpleUploadedFile("logo.svg", png(), content_type="image/svg+xml"),
    )
    assert (answer.status_code, answer["Location"]) == (302, URL)
    brand = Brand.objects.get()
    assert (brand.footer_ar, brand.track_clicks, brand.track_opens, brand.logo_type) == ("الرياض", True, False, "png")
    post(clinic.client(clinic.admin), remove_logo="on")
    brand.refresh_from_db()
    # The letters that were sent still show it.
    assert (brand.logo_digest, BrandLogo.objects.count()) == ("", 1)


def test_a_refused_wish_is_told_at_its_field_and_nothing_is_saved(clinic: Clinic) -> None:
    answer = post(clinic.client(clinic.admin), colour="#ffd000")
    assert answer.status_code == 422
    assert "too light" in answer.content.decode()
    answer = post(clinic.client(clinic.admin), logo=SimpleUploadedFile("logo.png", b"no picture", "image/png"))
    assert answer.status_code == 422
    assert "no PNG" in answer.content.decode()
    assert not Brand.objects.exists()


def test_only_who_manages_the_settings_comes_in(clinic: Clinic) -> None:
    for user in (clinic.front_desk, clinic.provider, clinic.patient_user):
        assert clinic.client(user).get(URL).status_code == 403
        assert post(clinic.client(user)).status_code == 403
        assert clinic.client(user).get(f"{URL}preview/?lang=en").status_code == 403
    assert Client().get(URL).status_code == 302


def test_each_clinic_group_sees_and_changes_its_own_brand_only(clinic: Clinic, other_clinic: Clinic) -> None:
    post(clinic.client(clinic.admin), footer_en="Of Noor")
    with tenant_scope(other_clinic.tenant.pk):
        assert "Of Noor" not in other_clinic.client(other_clinic.admin).get(URL).content.decode()
        post(other_clinic.client(other_clinic.admin), footer_en="Of Amal")
        assert Brand.objects.get().footer_en == "Of Amal"
    assert Brand.objects.get().footer_en == "Of Noor"


def test_the_preview_shows_what_is_typed_and_lets_no_script_run(clinic: Clinic) -> None:
    client = clinic.client(clinic.admin)
    typed = {"lang": "en", "colour": "#8a2f5d", "footer_en": "<script>x</script>"}
    answer = client.get(f"{URL}preview/", typed)
    page = answer.content.decode()
    assert "#8a2f5d" in page
    assert "<script" not in page
    assert "script-src 'none'" in answer["Content-Security-Policy"]
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "SAMEORIGIN"
    # Too light: the letter keeps its colour.
    assert "#ffd000" not in client.get(f"{URL}preview/", {"lang": "en", "colour": "#ffd000"}).content.decode()
    assert client.get(f"{URL}preview/?lang=fr").status_code == 404
    assert "frame-src 'self'" in client.get(URL)["Content-Security-Policy"]


def test_everybody_sees_a_logo_by_its_content_and_no_other(clinic: Clinic, other_clinic: Clinic) -> None:
    brand = branding.brand_set(actor=clinic.admin, wish=wish(logo=png()))
    name = f"{brand.logo_digest[:32]}.png"
    answer = Client().get(f"/brand/{clinic.tenant.pk}/{name}")
    assert (answer.status_code, answer["Content-Type"], answer.content) == (200, "image/png", png())
    assert "immutable" in answer["Cache-Control"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert not answer.cookies
    assert Client().get(f"/brand/{other_clinic.tenant.pk}/{name}").status_code == 404
    assert Client().get(f"/brand/{clinic.tenant.pk}/{'0' * 32}.png").status_code == 404
    assert Client().get(f"/brand/{'-' * 36}/{name}").status_code == 404
