"""Looks a template's words over: what forbids publishing them, and what its author should know. Never writes.

A blocker is something that would go wrong at sending or leave a reader without the news; everything else is a warning,
because it takes a person to judge it.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from core.tenancy import current_tenant_id
from notifications import branding, rendering, segments, template_context, template_words
from notifications.models import MessageTemplate
from notifications.models.template import TemplateWords
from notifications.states import Channel, NotificationType

# Of an event's own words: without these its message tells nobody when or where to click.
ESSENTIAL = frozenset({"date", "time", "link", "due_date", "amount", "paid_amount", "refunded_amount"})
MAX_BODY = 1600  # Twilio refuses longer texts (error 21617)
MAX_BODY_EMAIL = 20_000

_LANGUAGES = ("en", "ar")
_URL = re.compile(r"(?:https?://|www\.)[^\s<>{}\"]+|\b(?:[a-z0-9-]+\.)+[a-z]{2,}/[^\s<>{}\"]*", re.IGNORECASE)
_MARKS = re.compile("[\u0640\u064b-\u0652\u0670\u200c-\u200f\u2066-\u2069]")
_ALIKE = str.maketrans("أإآٱىة", "ااااي\u0647")
_ARABIC_LETTERS = re.compile("[\u0621-\u064a]")
# Stand before a word without a space: the article, "and", "for", "with" and their pairs.
_BEGINNINGS = "(?:و|ف)?(?:ال|لل|بال|وال|كال|ب|ل|ك)?"
_DIRECTION_MARKS = "\u2066\u2067\u2068\u2069"
_NICE_NAMES = {"“": "“ ”", "”": "“ ”", "‘": "‘ ’", "’": "‘ ’", "–": "–", "—": "—", "…": "…", "\u00a0": "no-break space"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about the words. ``field`` is where it stands, empty for the whole; ``code`` is for programs."""

    code: str
    text: str
    field: str = ""
    is_blocker: bool = False


def tidy(text: str) -> str:
    """As it is kept: no direction marks that an editor put in, no white space around it, our line ends."""
    bare = text.translate({ord(mark): None for mark in _DIRECTION_MARKS})
    return "\n".join(line.rstrip() for line in bare.strip().splitlines())


def look_over(template: MessageTemplate, words: TemplateWords) -> list[Finding]:
    """All findings, the blockers first. ``words`` are the version's, or what is being typed."""
    found = [*_missing(template, words), *_placeholders(template, words), *_lengths(template, words)]
    found += [*_letters(template, words), *_links(words), *_health(words), *_opt_out(template, words)]
    return sorted(found, key=lambda one: not one.is_blocker)


def blockers(template: MessageTemplate, words: TemplateWords) -> list[Finding]:
    """Why these words may not be published; empty when they may."""
    return [finding for finding in look_over(template, words) if finding.is_blocker]


def fields_of(channel: str) -> tuple[str, ...]:
    """The texts that a channel has."""
    body = ("body_en", "body_ar")
    return ("subject_en", "subject_ar", *body) if channel == Channel.EMAIL else body


# --- blockers --------------------------------------------------------------------------------------------------------


def _missing(template: MessageTemplate, words: TemplateWords) -> Iterator[Finding]:
    sentences = {
        "subject_en": _("The English subject is missing."),
        "subject_ar": _("The Arabic subject is missing."),
        "body_en": _("The English text is missing."),
        "body_ar": _("The Arabic text is missing."),
    }
    for field in fields_of(template.channel):
        if not getattr(words, field).strip():
            yield Finding("missing", sentences[field], field, is_blocker=True)
    if words.body_ar.strip() and not _ARABIC_LETTERS.search(words.body_ar):
        yield Finding("not_arabic", _("The Arabic text has no Arabic letters."), "body_ar", is_blocker=True)


def _placeholders(template: MessageTemplate, words: TemplateWords) -> Iterator[Finding]:
    known = template_context.known_names(template, words.variables)
    used: dict[str, set[str]] = {language: set() for language in _LANGUAGES}
    for field in fields_of(template.channel):
        language = field[-2:]
        try:
            names = rendering.placeholders(getattr(words, field))
        except rendering.TemplateError as error:
            yield Finding("brackets", str(error), field, is_blocker=True)
            continue
        used[language] |= set(names)
        for name in dict.fromkeys(names):
            if name not in known:
                text = _("There is no placeholder “{%(name)s}” for this message.") % {"name": name}
                yield Finding("unknown", text, field, is_blocker=True)
    yield from _parity(words, used)
    yield from _essential(template, used)


def _parity(words: TemplateWords, used: dict[str, set[str]]) -> Iterator[Finding]:
    """What one language says and the other does not. An empty text is told of already."""
    if not words.body_en.strip() or not words.body_ar.strip():
        return
    for name in sorted(used["en"] - used["ar"]):
        text = _("“{%(name)s}” stands in the English words and not in the Arabic ones.") % {"name": name}
        yield Finding("parity", text, "body_ar", is_blocker=True)
    for name in sorted(used["ar"] - used["en"]):
        text = _("“{%(name)s}” stands in the Arabic words and not in the English ones.") % {"name": name}
        yield Finding("parity", text, "body_en", is_blocker=True)


def _essential(template: MessageTemplate, used: dict[str, set[str]]) -> Iterator[Finding]:
    """What the event's own words tell and these do not in any language."""
    default = template_context.default_words(template.code, template.channel)
    if default is None or not (used["en"] or used["ar"]):
        return
    told = set(rendering.placeholders(default.body_en)) & set(rendering.placeholders(default.body_ar))
    for name in sorted(told - used["en"] - used["ar"]):
        label = template_context.LABELS.get(name, name)
        if name in ESSENTIAL:
            text = _("The message must tell “{%(name)s}” (%(label)s).") % {"name": name, "label": label}
            yield Finding("essential", text, "body_en", is_blocker=True)
        elif name != "link_note":
            text = _("The original words told “{%(name)s}” (%(label)s), these do not.") % {"name": name, "label": label}
            yield Finding("left_out", text)


def _lengths(template: MessageTemplate, words: TemplateWords) -> Iterator[Finding]:
    most = MAX_BODY_EMAIL if template.channel == Channel.EMAIL else MAX_BODY
    for language in _LANGUAGES:
        field = f"body_{language}"
        text = longest_text(template, words, language)
        if text is not None and len(text) > most:
            sentence = _("The text can grow to %(count)d characters; %(most)d are possible.")
            yield Finding("too_long", sentence % {"count": len(text), "most": most}, field, is_blocker=True)
        elif text is not None and template.channel == Channel.SMS and (parts := segments.count(text).parts) > 3:
            sentences = {
                "en": _("The English text can need %(count)d segments."),
                "ar": _("The Arabic text can need %(count)d segments."),
            }
            yield Finding("many_parts", sentences[language] % {"count": parts}, field)


def longest_text(template: MessageTemplate, words: TemplateWords, language: str) -> str | None:
    """The body with the longest values; None while it cannot be rendered."""
    known = template_context.known_names(template, words.variables)
    context = template_context.longest(template, words.variables)
    try:
        return rendering.render(getattr(words, f"body_{language}"), known, context, language)
    except rendering.TemplateError:
        return None


# --- warnings --------------------------------------------------------------------------------------------------------


def _letters(template: MessageTemplate, words: TemplateWords) -> Iterator[Finding]:
    """A single letter outside GSM-7 more than doubles the price of an English SMS."""
    if template.channel != Channel.SMS:
        return
    odd = segments.outside_gsm(re.sub(r"\{\w*\}", "", words.body_en))
    if not odd:
        return
    if all(_ARABIC_LETTERS.match(char) for char in odd):
        yield Finding("ucs2", _("There are Arabic letters in the English text."), "body_en")
        return
    shown = " ".join(dict.fromkeys(_NICE_NAMES.get(char, char) for char in odd))
    sentence = _("These characters make the English SMS more expensive: %(letters)s. Plain ones cost less: \" ' - ...")
    yield Finding("ucs2", sentence % {"letters": shown}, "body_en")


def _links(words: TemplateWords) -> Iterator[Finding]:
    seen: set[str] = set()
    for language in _LANGUAGES:
        field = f"body_{language}"
        for url in _URL.findall(getattr(words, field)):
            host = (urlsplit(url if "://" in url else f"https://{url}").hostname or "").removeprefix("www.")
            if not host or host in seen:
                continue
            seen.add(host)
            if host in template_words.SHORTENERS:
                sentence = _("%(host)s hides where the link leads; phone companies often block it.")
                yield Finding("shortener", sentence % {"host": host}, field)
            elif not _is_ours(host):
                sentence = _("The link to %(host)s leads away from the clinic. Patients are warned of such links.")
                yield Finding("foreign_link", sentence % {"host": host}, field)


def _is_ours(host: str) -> bool:
    """The house's address, or the host of the clinic's own short links. A query only for a host that is not the house's."""
    own = urlsplit(settings.PUBLIC_BASE_URL).hostname or ""
    if host == own or host.endswith(f".{own}"):
        return True
    tenant_id = current_tenant_id()
    brand = branding.brand_of(tenant_id) if tenant_id is not None else None
    return brand is not None and host == brand.link_host


def _health(words: TemplateWords) -> Iterator[Finding]:
    for language in _LANGUAGES:
        for part in ("subject", "body"):
            field = f"{part}_{language}"
            found = _words_in(getattr(words, field), language)
            if found:
                sentence = _("“%(word)s” can tell others what somebody is treated for. A phone is read by the family.")
                yield Finding("health", sentence % {"word": found}, field)


def _words_in(text: str, language: str) -> str:
    """The first word of the list that stands in the text, as it stands there; empty for none."""
    plain = plainer(re.sub(r"\{\w*\}", " ", text))
    found = _health_pattern(language).search(plain)
    return found.group(0).strip() if found else ""


@functools.cache
def _health_pattern(language: str) -> re.Pattern[str]:
    if language == "ar":
        listed = "|".join(re.escape(plainer(word)) for word in template_words.HEALTH_AR)
        return re.compile(rf"(?<!\w){_BEGINNINGS}(?:{listed})(?:ات|ي|يه|ك|كم|ها|ه)?(?!\w)")
    listed = "|".join(re.escape(word) for word in template_words.HEALTH_EN)
    # The short ones are whole words: "sti" must not find "still".
    short = "|".join(word for word in template_words.HEALTH_EN if len(word) <= 4)
    return re.compile(rf"(?<!\w)(?:(?:{short})(?!\w)|(?!(?:{short})(?:\w))(?:{listed})\w*)")


def plainer(text: str) -> str:
    """Without case, marks and the spellings that people write one for the other."""
    return _MARKS.sub("", unicodedata.normalize("NFKC", text)).casefold().translate(_ALIKE)


def _opt_out(template: MessageTemplate, words: TemplateWords) -> Iterator[Finding]:
    if template.notification_type != NotificationType.MARKETING:
        return
    sentences = {
        "en": _("Marketing must say in English how to opt out."),
        "ar": _("Marketing must say in Arabic how to opt out."),
    }
    lists: dict[str, Sequence[str]] = {"en": template_words.OPT_OUT_EN, "ar": template_words.OPT_OUT_AR}
    for language in _LANGUAGES:
        body = getattr(words, f"body_{language}")
        if body.strip() and not _says_one_of(body, lists[language]):
            yield Finding("opt_out", sentences[language], f"body_{language}")


def _says_one_of(text: str, listed: Iterable[str]) -> bool:
    plain = plainer(text)
    if any(f"{{{name}}}" in text for name in template_words.OPT_OUT_PLACEHOLDERS):
        return True
    return any(plainer(words) in plain for words in listed)
