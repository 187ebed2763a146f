"""What two files of one person wished, agreed to and told us to stop, when they become one: the stricter holds."""

from __future__ import annotations

from core import merging
from core.models import Patient
from notifications import consents
from notifications.models import NotificationPreference

# A no of either file is a no.
_YES = (
    *("sms_enabled", "whatsapp_enabled", "email_enabled", "combine_family"),
    *("reminders_enabled", "confirmations_enabled", "results_enabled", "billing_enabled"),
)


def register() -> None:
    merging.register_step("wishes", merge_wishes, covers=["notifications.NotificationPreference"])
    # After the wishes: what holds of the records is written into the survivor's row.
    merging.register_step("consents", consents.keep_strictest, covers=["notifications.ConsentRecord"])
    merging.register_step("opt-outs", leave, covers=["notifications.OptEvent"])


def leave(survivor: Patient, merged: Patient) -> None:
    """Append-only, found by ``merging.file_ids``; what is stopped is stopped by its address, whosever file it is in."""


def merge_wishes(survivor: Patient, merged: Patient) -> None:
    theirs = NotificationPreference.objects.filter(patient=merged).first()
    if theirs is None:
        return
    mine = consents.locked_preference(survivor)
    for name in _YES:
        setattr(mine, name, getattr(mine, name) and getattr(theirs, name))
    mine.switched_off = sorted({*mine.switched_off, *theirs.switched_off})
    if mine.quiet_from is None:
        mine.quiet_from, mine.quiet_until = theirs.quiet_from, theirs.quiet_until
    mine.save(update_fields=[*_YES, "switched_off", "quiet_from", "quiet_until", "updated_at"])
