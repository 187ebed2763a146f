"""Requests about a patient's data: asked in the patient's own view or at the desk, answered by an admin within 30 days.

Keyword-only, atomic, audited; refusals are ``DomainError`` with a sentence for the person at the screen. Needs the tenant's
scope open. The apps that have something to do about it (a task for the desk, news for the patient) listen to the signals.
Must never import anything of the other apps.
"""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.db.models import QuerySet
from django.dispatch import Signal
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from core import audit, subject_data
from core.access import Can
from core.errors import DomainError
from core.holds import is_held
from core.models import Patient, RightsKind, RightsRequest, RightsState, User
from core.permissions import demand
from core.selectors import zone_of_tenant

# PDPL: access, correction and destruction within 30 days.
ANSWERED_WITHIN = dt.timedelta(days=30)
DETAILS_LENGTH = 2000
OPEN_STATES = (RightsState.OPEN, RightsState.RUNNING)

# Sent inside the transaction with ``request``, a RightsRequest.
request_opened = Signal()
request_ended = Signal()


# --- reading ---------------------------------------------------------------------------------------------------------


def requests_of(patient: Patient) -> QuerySet[RightsRequest]:
    """The latest first, whoever asked: for the clinic's own people."""
    return RightsRequest.objects.filter(patient=patient).order_by("-created_at", "-pk")


def requests_by(patient: Patient, asker: str) -> QuerySet[RightsRequest]:
    """What this person has asked for about the patient; of the others' requests nobody learns in the own view."""
    return requests_of(patient).filter(asked_by=asker)


def all_requests(*, only_open: bool) -> QuerySet[RightsRequest]:
    """Of the open tenant: what is open by the day it is due, what has ended the latest first."""
    rows = RightsRequest.objects.select_related("patient", "answered_by", "taken_by")
    if only_open:
        return rows.filter(state__in=OPEN_STATES).order_by("due_on", "created_at", "pk")
    return rows.exclude(state__in=OPEN_STATES).order_by("-answered_at", "-pk")


# --- asking ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def rights_open(
    *, patient: Patient, kind: str, asked_by: str, details: str = "", taken_by: User | None = None
) -> RightsRequest:
    """``asked_by``: ``patient:<id>`` or ``guardian:<id>``; ``taken_by``: who wrote it down at the desk.

    Who may ask in the patient's own view is that view's to know (``core.portal_people``).
    """
    if taken_by is not None:
        demand(taken_by, Can.EDIT_PATIENTS, patient)
    words = details.strip()
    if kind not in RightsKind.values:
        raise DomainError(_("Choose what is asked for."), code="kind_unknown")
    if kind == RightsKind.CORRECTION and not words:
        raise DomainError(_("Write down what is wrong, and what is right."), code="details_missing")
    if len(words) > DETAILS_LENGTH:
        raise DomainError(_("The text is too long."), code="details_too_long")
    # Two at once: the second finds the first.
    Patient.objects.select_for_update().filter(pk=patient.pk).first()
    there = requests_by(patient, asked_by).filter(kind=kind, state__in=OPEN_STATES).first()
    if there is not None:
        raise DomainError(
            _("This was asked for before and is being looked after. It is due on %(day)s.")
            % {"day": f"{there.due_on:%Y-%m-%d}"},
            code="already_open",
        )
    request = RightsRequest.objects.create(
        tenant_id=patient.tenant_id,
        patient=patient,
        kind=kind,
        details=words,
        asked_by=asked_by,
        taken_by=taken_by,
        # Days of the clinic, wherever the server is.
        due_on=timezone.localdate(timezone=zone_of_tenant()) + ANSWERED_WITHIN,
    )
    _audit(request, taken_by, "rights_request.opened")
    request_opened.send(sender=RightsRequest, request=request)
    return request


@transaction.atomic
def rights_withdraw(*, request: RightsRequest, actor: User | None = None) -> RightsRequest:
    """Whoever asked has thought better of it. Not once it is being carried out."""
    if actor is not None:
        demand(actor, Can.EDIT_PATIENTS, request)
    return _end(
        request,
        RightsState.WITHDRAWN,
        actor=actor,
        answer="",
        only_from=(RightsState.OPEN,),
        action="rights_request.withdrawn",
    )


@transaction.atomic
def rights_join(*, request: RightsRequest, into: RightsRequest) -> None:
    """A merge has brought one wish of one person twice: ``into``, which is due first, stays with the words of both."""
    if request.details and request.details not in into.details:
        into.details = "\n\n".join(words for words in (into.details, request.details) if words)
        into.save(update_fields=["details"])
    with translation.override(request.patient.language):
        why = _(
            "Two files were made one. What was asked for here is looked after with the earlier request of this kind."
        )
    _end(
        request,
        RightsState.WITHDRAWN,
        actor=None,
        answer=why,
        only_from=OPEN_STATES,
        action="rights_request.withdrawn",
    )


# --- answering -------------------------------------------------------------------------------------------------------


@transaction.atomic
def rights_done(*, actor: User | None, request: RightsRequest, answer: str = "") -> RightsRequest:
    """Fulfilled: a correction was made, a copy is ready. None as actor: a worker has finished."""
    if actor is not None:
        demand(actor, Can.MANAGE_SETTINGS, request)
        if request.kind == RightsKind.ERASURE:
            raise DomainError(_("Start the erasure: it ends by itself."), code="erasure_by_worker")
    return _end(
        request, RightsState.DONE, actor=actor, answer=answer, only_from=OPEN_STATES, action="rights_request.done"
    )


@transaction.atomic
def rights_refuse(*, actor: User, request: RightsRequest, answer: str) -> RightsRequest:
    """With a reason that the person is told."""
    demand(actor, Can.MANAGE_SETTINGS, request)
    if not answer.strip():
        raise DomainError(_("Write down why: the person is told."), code="no_reason")
    return _end(
        request,
        RightsState.REFUSED,
        actor=actor,
        answer=answer,
        only_from=(RightsState.OPEN,),
        action="rights_request.refused",
    )


@transaction.atomic
def erasure_start(*, actor: User, request: RightsRequest) -> RightsRequest:
    """The admin's yes. A worker does it from here on; it cannot be called back."""
    from core.queueing import enqueue_on_commit
    from core.tasks import erase_patient_task

    demand(actor, Can.MANAGE_SETTINGS, request)
    request = _locked(request)
    if request.kind != RightsKind.ERASURE or request.state != RightsState.OPEN:
        raise DomainError(_("This request is not waiting for that any more."), code="request_over")
    refuse_erasure(request.patient)
    request.state, request.answered_by = RightsState.RUNNING, actor
    request.save(update_fields=["state", "answered_by"])
    _audit(request, actor, "rights_request.started")
    enqueue_on_commit(erase_patient_task, str(request.tenant_id), str(request.pk))
    return request


def refuse_erasure(patient: Patient) -> None:
    """Raises ``DomainError`` while a hold or something unsettled stands in the way."""
    if is_held(patient):
        raise DomainError(
            _("A legal hold is on this file. Nothing of it may be erased until the hold is lifted."), code="legal_hold"
        )
    if obstacles := subject_data.obstacles_of(patient):
        raise DomainError(" ".join(obstacles), code="unsettled")


def _end(
    request: RightsRequest,
    state: RightsState,
    *,
    actor: User | None,
    answer: str,
    only_from: tuple[str, ...],
    action: str,
) -> RightsRequest:
    request = _locked(request)
    if request.state not in only_from:
        raise DomainError(_("This request is not waiting for that any more."), code="request_over")
    words = answer.strip()
    if len(words) > DETAILS_LENGTH:
        raise DomainError(_("The text is too long."), code="details_too_long")
    request.state, request.answer, request.answered_at = state, words, timezone.now()
    # A worker finishes what an admin has begun.
    request.answered_by = actor or request.answered_by
    request.save(update_fields=["state", "answer", "answered_at", "answered_by"])
    _audit(request, actor, action)
    request_ended.send(sender=RightsRequest, request=request)
    return request


def _locked(request: RightsRequest) -> RightsRequest:
    return RightsRequest.objects.select_for_update(of=("self",)).select_related("patient__tenant").get(pk=request.pk)


def _audit(request: RightsRequest, actor: User | None, action: str) -> None:
    audit.record(
        tenant_id=request.tenant_id,
        actor=actor,
        action=action,
        obj=request,
        # Not its words: they may be anything.
        after={"kind": request.kind, "patient": str(request.patient_id), "due_on": request.due_on.isoformat()},
    )
