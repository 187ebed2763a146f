"""What “Undo” sends: the act and its id, signed and short-lived.

The id finds only rows of the user who sends it (``inbox.undo``), so a token of somebody else undoes nothing.
"""

from __future__ import annotations

import datetime as dt
import uuid

from django.core import signing

from notifications.inbox import Act

# How long the button is shown; the page takes it away.
SHOWN_FOR = dt.timedelta(seconds=10)
# The server takes it longer: the toast stays while the pointer or the focus rests on it (30 s at most), and a click in
# its last moment may need some seconds on a slow line. What the button offers must work.
ACCEPTED_FOR = dt.timedelta(seconds=60)

_SALT = "notifications.undo"


class TooLate(Exception):
    """The token has run out, or is none of ours."""


def token(act: Act, action: uuid.UUID) -> str:
    return signing.dumps([act.value, action.hex], salt=_SALT)


def read(text: str) -> tuple[Act, uuid.UUID]:
    try:
        act, action = signing.loads(text, salt=_SALT, max_age=ACCEPTED_FOR)
    except signing.BadSignature as error:
        raise TooLate from error
    return Act(act), uuid.UUID(action)
