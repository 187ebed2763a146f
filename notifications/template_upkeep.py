"""What is done with a template as a whole: its name, on and off, the archive, deletion. Its words: ``template_versions``."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.errors import DomainError
from core.models import User
from notifications import template_versions
from notifications.models import BulkSend, Message, MessageTemplate
from notifications.template_versions import archived_refusal, is_of_event, locked, record, tidy_name


@transaction.atomic
def rename(*, actor: User, template: MessageTemplate, name: str) -> None:
    """The name is for staff only, so it needs no review."""
    row = locked(actor, template)
    name = tidy_name(name)
    if name == row.name:
        return
    record(actor, "template.renamed", row, before={"name": row.name}, after={"name": name})
    row.name = name
    row.save(update_fields=["name", "updated_at"])
    template.name = name


@transaction.atomic
def set_active(*, actor: User, template: MessageTemplate, is_active: bool) -> None:
    """Switched off, nothing is sent with it: its messages are refused with a reason, or go over the next channel."""
    row = locked(actor, template)
    if row.is_active == is_active:
        return
    if is_active and row.archived_at is not None:
        raise archived_refusal()
    if is_active and not row.version:
        raise DomainError(_("Publish the words first."), code="unpublished")
    record(actor, "template.toggled", row, before={"is_active": row.is_active}, after={"is_active": is_active})
    row.is_active = is_active
    row.save(update_fields=["is_active", "updated_at"])


@transaction.atomic
def archive(*, actor: User, template: MessageTemplate) -> None:
    """Out of the lists, and nothing is sent with it; its messages keep their history."""
    row = locked(actor, template)
    _refuse_for_an_event(row)
    if row.archived_at is not None:
        return
    version = template_versions.open_version(row)
    if version is not None:
        raise DomainError(_("A draft is open already. Finish or discard it first."), code="draft_open")
    row.archived_at, row.is_active = timezone.now(), False
    row.save(update_fields=["archived_at", "is_active", "updated_at"])
    record(actor, "template.archived", row)


@transaction.atomic
def restore(*, actor: User, template: MessageTemplate) -> None:
    """Back in the lists, switched off until somebody switches it on."""
    row = locked(actor, template)
    if row.archived_at is None:
        return
    row.archived_at = None
    row.save(update_fields=["archived_at", "updated_at"])
    record(actor, "template.restored", row)


@transaction.atomic
def delete(*, actor: User, template: MessageTemplate) -> None:
    """Only what was never used: everything else has a history that needs its words."""
    row = locked(actor, template)
    refusal = deletion_refusal(row)
    if refusal:
        raise DomainError(refusal, code="in_use")
    record(actor, "template.deleted", row, before={"code": row.code, "channel": row.channel})
    row.delete()


def deletion_refusal(template: MessageTemplate) -> str:
    """Why it may not be deleted; empty when it may."""
    if is_of_event(template):
        return _("The system sends this message by itself. Switch it off instead.")
    # One code is one choice for a send, whichever of its channels the send's row names.
    if BulkSend.objects.filter(template__code=template.code).exists():
        return _("A bulk send uses it. Archive it instead.")
    used = Message.objects.filter(template=template)[:1000].count()
    if used:
        return ngettext(
            "%(count)d message was sent with it. Archive it instead.",
            "%(count)d messages were sent with it. Archive it instead.",
            used,
        ) % {"count": used}
    return ""


def _refuse_for_an_event(template: MessageTemplate) -> None:
    if is_of_event(template):
        raise DomainError(_("The system sends this message by itself. Switch it off instead."), code="of_event")
