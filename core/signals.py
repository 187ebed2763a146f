"""Core's signals: what must hold for a patient's row whoever saves it (a form, the console, an import), and what a
sign-in leaves behind."""

from __future__ import annotations

from typing import Any

import structlog
from axes.signals import user_locked_out
from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_save
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from core import accounts, sessions
from core.contacts import readers_changed
from core.models import Guardianship, Patient, User
from core.sequences import next_number

log = structlog.get_logger(__name__)

# The fields of a patient on which it depends who is told.
_WHO_READS = frozenset({"deceased_at", "is_restricted", "is_active", "merged_into", "birth_date"})


@receiver(pre_save, sender=Patient)
def patient_pre_save(sender: type[Patient], *, instance: Patient, raw: bool = False, **kwargs: Any) -> None:
    """Gives a new patient the next free file number."""
    if raw or instance.mrn:
        return
    while not instance.mrn:
        number = f"{next_number(instance.tenant_id, 'patient'):06d}"
        # Numbers brought along from an older system may be in the way.
        if not Patient.objects.filter(tenant_id=instance.tenant_id, mrn=number).exists():
            instance.mrn = number


@receiver(pre_save, sender=Guardianship)
def guardianship_pre_save(
    sender: type[Guardianship], *, instance: Guardianship, raw: bool = False, **kwargs: Any
) -> None:
    """The first guardian is the first contact."""
    if raw or instance.is_primary or not instance._state.adding:
        return
    instance.is_primary = not Guardianship.objects.filter(patient=instance.patient).exists()


@receiver(post_save, sender=Patient)
@transaction.atomic
def patient_post_save(
    sender: type[Patient], *, instance: Patient, created: bool, raw: bool = False, **kwargs: Any
) -> None:
    """A death, a restriction, a departure, a birth date put right: what waits to be sent must not wait for its time."""
    written = kwargs.get("update_fields")
    if not raw and not created and (written is None or _WHO_READS & set(written)):
        readers_changed.send(sender=Patient, patient=instance)


@receiver(post_save, sender=Guardianship)
@transaction.atomic
def guardianship_post_save(
    sender: type[Guardianship], *, instance: Guardianship, created: bool, raw: bool = False, **kwargs: Any
) -> None:
    if not raw and not created:
        readers_changed.send(sender=Guardianship, patient=instance.patient)


@receiver(post_delete, sender=Guardianship)
@transaction.atomic
def guardianship_post_delete(sender: type[Guardianship], *, instance: Guardianship, **kwargs: Any) -> None:
    readers_changed.send(sender=Guardianship, patient=instance.patient)


@receiver(user_logged_in)
def session_began(sender: type[User], *, request: HttpRequest, user: User, **kwargs: Any) -> None:
    """What its owner will see of the session (``core.sessions.sessions_of``)."""
    request.session[sessions.AGENT_KEY] = request.headers.get("User-Agent", "")[:200]
    request.session[sessions.SINCE_KEY] = timezone.now().isoformat()


@receiver(user_locked_out)
def sign_in_closed(sender: Any, *, username: str | None = None, **kwargs: Any) -> None:
    """Too many wrong passwords. A line in the trail where the email belongs to somebody, each time the door closes."""
    log.warning("sign_in.locked")
    user = User.accounts.filter(email__iexact=(username or "").strip()).first()
    if user is not None:
        accounts.note(user=user, action="sign_in.locked")
