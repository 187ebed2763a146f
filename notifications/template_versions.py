"""The life of a template's versions: written, reviewed, published, brought back. Beside it: ``template_upkeep``.

Words go out only after a second person has looked at them: nobody who has typed in a version may publish it. Words that
were published once were looked at then, so going back to them needs no second look. Every act takes the template's row
first, so two at once come one after the other; drafts carry a revision, so nobody overwrites or approves what he has not
seen.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _

from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import User
from core.permissions import NotAllowed, demand
from notifications import template_checks, template_context
from notifications.models import MessageTemplate, TemplateVersion
from notifications.models.template import OPEN, TEXTS
from notifications.template_checks import Finding

S = TemplateVersion.State
# Codes of the clinic's own templates begin with it; an event's never do.
_OWN = "own."
_MAX_NAME = 120


class NotPublishable(DomainError):
    """The words may not go out; ``findings`` are all the reasons."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(" ".join(finding.text for finding in findings), code="not_publishable")
        self.findings = list(findings)


# --- writing ---------------------------------------------------------------------------------------------------------


@transaction.atomic
def create(
    *, actor: User, name: str, channel: str, notification_type: str, words: Mapping[str, str], variables: Sequence[str]
) -> TemplateVersion:
    """A template of the clinic's own, for bulk sends, with its first draft. Nothing is sent with it before it is published."""
    return _create(
        actor=actor, name=name, channel=channel, notification_type=notification_type, words=words, variables=variables
    )


def _create(
    *,
    actor: User,
    name: str,
    channel: str,
    notification_type: str,
    words: Mapping[str, str],
    variables: Sequence[str],
    typed_by: Sequence[str] = (),
) -> TemplateVersion:
    demand(actor, Can.MANAGE_TEMPLATES)
    if actor.tenant_id is None:
        raise NotAllowed
    fields: dict[str, Any] = {
        "tenant_id": actor.tenant_id,
        "name": tidy_name(name),
        "channel": channel,
        "notification_type": notification_type,
        "version": 0,
        "is_active": False,
    }
    code = _free_code(name, channel)
    try:
        with transaction.atomic():
            template = MessageTemplate.objects.create(code=code, **fields)
    except IntegrityError:
        # Somebody has taken the code in the same moment.
        template = MessageTemplate.objects.create(code=f"{code}-{uuid.uuid4().hex[:8]}", **fields)
    version = _begin(actor, template, words, variables, typed_by)
    record(actor, "template.created", template, after={"channel": channel, "notification_type": notification_type})
    return version


@transaction.atomic
def duplicate(*, actor: User, template: MessageTemplate) -> TemplateVersion:
    """A template of the clinic's own with the same words, as a draft. Placeholders of an event have to be replaced."""
    demand(actor, Can.MANAGE_TEMPLATES, template)
    source = TemplateVersion.objects.filter(template=template, state=S.PUBLISHED).first() or open_version(template)
    if source is None:
        raise DomainError(_("There are no words to copy."), code="no_words")
    return _create(
        actor=actor,
        name=(_("Copy of %(name)s") % {"name": template.name})[:_MAX_NAME],
        channel=template.channel,
        notification_type=template.notification_type,
        words={name: getattr(source, name) for name in TEXTS},
        variables=[] if is_of_event(template) else template_context.own_names(source.variables),
        typed_by=() if source.was_sent else source.editors,
    )


@transaction.atomic
def save_draft(
    *, actor: User, template: MessageTemplate, words: Mapping[str, str], variables: Sequence[str], revision: int
) -> TemplateVersion:
    """Keeps what was typed: in the open draft, or in a new one when none is open.

    ``revision`` is that of the draft the author began from, 0 for none. Refused when another one was saved meanwhile.
    """
    locked(actor, template)
    version = open_version(template)
    if version is None:
        if revision:
            raise _changed()
        kept = _kept(template, words, variables)
        if template.version and all(getattr(template, name) == value for name, value in kept.items()):
            raise DomainError(_("These are the words that are sent already."), code="nothing_new")
        return _begin(actor, template, words, variables)
    if version.state != S.DRAFT:
        raise DomainError(_("This version is being reviewed. Take it back first."), code="in_review")
    if version.revision != revision:
        raise _changed()
    kept = _kept(template, words, variables)
    if any(getattr(version, name) != value for name, value in kept.items()):
        for name, value in kept.items():
            setattr(version, name, value)
        version.revision += 1
        version.editors = list(dict.fromkeys([*version.editors, str(actor.pk)]))
        version.save(update_fields=[*kept, "revision", "editors", "updated_at"])
    return version


@transaction.atomic
def begin_from(*, actor: User, version: TemplateVersion) -> TemplateVersion:
    """A new draft with the words of any version."""
    template = locked(actor, version.template)
    if open_version(template) is not None:
        raise DomainError(_("A draft is open already. Finish or discard it first."), code="draft_open")
    words = {name: getattr(version, name) for name in TEXTS}
    # Words that nobody has reviewed stay those of the people who typed them.
    typed_by = () if version.was_sent else version.editors
    return _begin(actor, template, words, template_context.own_names(version.variables), typed_by)


@transaction.atomic
def discard(*, actor: User, version: TemplateVersion) -> None:
    """The draft is given up; it stays in the history."""
    template = locked(actor, version.template)
    _move(version, S.WITHDRAWN, only_from=S.DRAFT, decided_at=timezone.now())
    record(actor, "template.draft_discarded", template, after={"version": version.number})


# --- review ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def submit(*, actor: User, version: TemplateVersion, revision: int, note: str = "") -> None:
    """Asks a second person. Refused while anything forbids publishing; ``NotPublishable`` lists all of it."""
    template = locked(actor, version.template)
    fresh = _seen(version, revision)
    _demand_publishable(template, fresh)
    if _words_of(fresh) == _words_of(template) and template.version:
        raise DomainError(_("These are the words that are sent already."), code="nothing_new")
    _move(version, S.IN_REVIEW, only_from=S.DRAFT, submitted_at=timezone.now(), note=note.strip()[:300])
    record(actor, "template.submitted", template, after={"version": version.number})


@transaction.atomic
def take_back(*, actor: User, version: TemplateVersion) -> None:
    """Back to a draft, to go on writing."""
    template = locked(actor, version.template)
    _move(version, S.DRAFT, only_from=S.IN_REVIEW, submitted_at=None)
    record(actor, "template.taken_back", template, after={"version": version.number})


@transaction.atomic
def publish(*, actor: User, version: TemplateVersion, revision: int) -> None:
    """The second person says yes: from now on these words are sent."""
    template = locked(actor, version.template)
    fresh = _seen(version, revision)
    _demand_second_person(actor, fresh)
    _demand_publishable(template, fresh)
    _put_out(actor, template, fresh, only_from=S.IN_REVIEW, reviewer=actor)
    version.refresh_from_db()


@transaction.atomic
def reject(*, actor: User, version: TemplateVersion, revision: int, note: str) -> None:
    """The second person says no, and why."""
    template = locked(actor, version.template)
    fresh = _seen(version, revision)
    _demand_second_person(actor, fresh)
    if not note.strip():
        raise DomainError(_("Write what should be changed."), code="note_missing")
    _move(
        version,
        S.REJECTED,
        only_from=S.IN_REVIEW,
        reviewer=actor,
        review_note=note.strip()[:300],
        decided_at=timezone.now(),
    )
    record(actor, "template.rejected", template, after={"version": version.number})


@transaction.atomic
def roll_back(*, actor: User, version: TemplateVersion) -> TemplateVersion:
    """The words of an earlier published version go out again, as a new version. They were reviewed when they first did."""
    template = locked(actor, version.template)
    version.refresh_from_db()
    if version.state != S.SUPERSEDED:
        raise DomainError(_("Only words that were sent before can be brought back."), code="never_sent")
    if template.archived_at is not None:
        raise archived_refusal()
    fresh = TemplateVersion(
        tenant_id=template.tenant_id,
        template=template,
        number=_next_number(template),
        # Published below, in the same way as any other. Not open: a draft that is being written is not disturbed.
        state=S.WITHDRAWN,
        author=actor,
        editors=[str(actor.pk)],
        restores=version.number,
        **{name: getattr(version, name) for name in TEXTS},
        variables=template_context.known_names(template, version.variables),
    )
    _demand_publishable(template, fresh)
    fresh.save()
    _put_out(actor, template, fresh, only_from=S.WITHDRAWN, reviewer=None)
    return fresh


# --- reading ---------------------------------------------------------------------------------------------------------


def is_of_event(template: MessageTemplate) -> bool:
    """An event of the system sends it; it can be switched off, but neither archived nor deleted."""
    return template_context.entry_of(template.code) is not None


def open_version(template: MessageTemplate) -> TemplateVersion | None:
    """The draft, or what is in review."""
    return TemplateVersion.objects.filter(template=template, state__in=OPEN).first()


def may_review(actor: User, version: TemplateVersion) -> bool:
    """Another person than those who have typed in it."""
    return str(actor.pk) not in {*version.editors, str(version.author_id)}


# --- steps -----------------------------------------------------------------------------------------------------------


def locked(actor: User, template: MessageTemplate) -> MessageTemplate:
    """The template's row, which every act takes first. Raises ``NotAllowed`` for the wrong person."""
    demand(actor, Can.MANAGE_TEMPLATES, template)
    return MessageTemplate.objects.select_for_update().get(pk=template.pk)


def _begin(
    actor: User,
    template: MessageTemplate,
    words: Mapping[str, str],
    variables: Sequence[str],
    typed_by: Sequence[str] = (),
) -> TemplateVersion:
    if template.archived_at is not None:
        raise archived_refusal()
    return TemplateVersion.objects.create(
        tenant_id=template.tenant_id,
        template=template,
        number=_next_number(template),
        author=actor,
        editors=list(dict.fromkeys([*typed_by, str(actor.pk)])),
        **_kept(template, words, variables),
    )


def _next_number(template: MessageTemplate) -> int:
    latest = TemplateVersion.objects.filter(template=template).aggregate(latest=Max("number"))["latest"]
    return max(latest or 0, template.version) + 1


def _kept(template: MessageTemplate, words: Mapping[str, str], variables: Sequence[str]) -> dict[str, Any]:
    """What is written down of what was typed: tidied, and only the texts that the channel has."""
    of_channel = template_checks.fields_of(template.channel)
    kept: dict[str, Any] = {
        name: template_checks.tidy(words.get(name, "")) if name in of_channel else "" for name in TEXTS
    }
    for name in ("subject_en", "subject_ar"):
        kept[name] = " ".join(kept[name].split())[:200]
    return kept | {"variables": template_context.known_names(template, variables)}


def _seen(version: TemplateVersion, revision: int) -> TemplateVersion:
    """The version as it is now, if it is as the person saw it."""
    fresh = TemplateVersion.objects.select_related("template").get(pk=version.pk)
    if fresh.revision != revision:
        raise _changed()
    return fresh


def _move(version: TemplateVersion, state: str, *, only_from: str, **fields: Any) -> None:
    """A conditional UPDATE: who comes second changes nothing."""
    moved = TemplateVersion.objects.filter(pk=version.pk, state=only_from).update(
        state=state, updated_at=timezone.now(), **fields
    )
    if not moved:
        raise DomainError(_("Somebody else was quicker: this version has moved on."), code="moved_on")
    version.refresh_from_db()


def _put_out(
    actor: User, template: MessageTemplate, version: TemplateVersion, *, only_from: str, reviewer: User | None
) -> None:
    """Replaces the published words by these."""
    before = template.version
    if template.archived_at is not None:
        raise archived_refusal()
    TemplateVersion.objects.filter(template=template, state=S.PUBLISHED).update(
        state=S.SUPERSEDED, updated_at=timezone.now()
    )
    _move(version, S.PUBLISHED, only_from=only_from, reviewer=reviewer, decided_at=timezone.now())
    for name, value in version.words().items():
        setattr(template, name, value)
    # Switched off it stays so; a new one begins to be used.
    template.is_active = template.is_active or not before
    template.version = version.number
    template.save(update_fields=[*version.words(), "version", "is_active", "updated_at"])
    record(
        actor,
        "template.rolled_back" if version.restores else "template.published",
        template,
        before={"version": before},
        after={"version": version.number, **({"restores": version.restores} if version.restores else {})},
    )


def _words_of(words: MessageTemplate | TemplateVersion) -> tuple[str, ...]:
    return tuple(getattr(words, name) for name in TEXTS)


# --- rules -----------------------------------------------------------------------------------------------------------


def _demand_second_person(actor: User, version: TemplateVersion) -> None:
    if not may_review(actor, version):
        raise DomainError(_("You have written in this version. Another admin must look at it."), code="same_person")


def _demand_publishable(template: MessageTemplate, words: TemplateVersion) -> None:
    findings = template_checks.blockers(template, words)
    if findings:
        raise NotPublishable(findings)


def _changed() -> DomainError:
    return DomainError(
        _("Somebody has changed this draft meanwhile. Look at it again before you go on."), code="changed_meanwhile"
    )


def archived_refusal() -> DomainError:
    return DomainError(_("This template is archived. Restore it first."), code="archived")


def tidy_name(name: str) -> str:
    tidied = " ".join(name.split())
    if not tidied:
        raise DomainError(_("Give it a name."), code="name_missing")
    if len(tidied) > _MAX_NAME:
        raise DomainError(_("At the most %(most)d letters.") % {"most": _MAX_NAME}, code="name_long")
    return tidied


def _free_code(name: str, channel: str) -> str:
    """``own.eid-greeting``; with a number behind it where that is taken. An Arabic name has no letters for it."""
    stem = f"{_OWN}{slugify(name)[:50] or uuid.uuid4().hex[:8]}"
    taken = set(MessageTemplate.objects.filter(channel=channel, code__startswith=stem).values_list("code", flat=True))
    number, code = 2, stem
    while code in taken:
        code, number = f"{stem}-{number}", number + 1
    return code


def record(
    actor: User,
    action: str,
    template: MessageTemplate,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Numbers and switches, never the words."""
    audit.record(tenant_id=template.tenant_id, actor=actor, action=action, obj=template, before=before, after=after)
