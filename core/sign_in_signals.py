"""Who came in, who left, and who could not, in the audit trail. Django's own signals tell, so no page can forget to.

Must never import anything of the other apps.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from core import accounts
from core.models import User


def _came_by_an_address(request: HttpRequest | None) -> bool:
    """Programs that open a session for somebody (a test, a shell) are no visit."""
    return request is not None and getattr(request, "resolver_match", None) is not None


@receiver(user_logged_in)
def signed_in(sender: Any, *, request: HttpRequest | None, user: User, **kwargs: Any) -> None:
    if _came_by_an_address(request):
        accounts.note(user=user, actor=user, action="sign_in.done")


@receiver(user_logged_out)
def signed_out(sender: Any, *, request: HttpRequest | None, user: User | None, **kwargs: Any) -> None:
    """``user`` is None when nobody was signed in."""
    if isinstance(user, User) and _came_by_an_address(request):
        accounts.note(user=user, actor=user, action="sign_out.done")


@receiver(user_login_failed)
def refused(sender: Any, *, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any) -> None:
    """A wrong password for an account that exists: nobody knows who typed it. Other emails have no clinic group."""
    if not _came_by_an_address(request):
        return
    user = User.accounts.filter(email__iexact=str(credentials.get("username") or "").strip()).first()
    if user is not None:
        accounts.note(user=user, action="sign_in.failed")
