"""Who signs out or leaves hears nothing more beside the bell: this browser then, or all of theirs and their channels.

And who is named as a cover hears of it.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest

from core.models import Absence, User
from core.sessions import signed_out_everywhere
from core.tenancy import tenant_scope
from notifications import chat, covers, push

# Says which subscription this browser is: signed, and unlike the session still there after a night.
COOKIE = "push_device"


def subscription_of(request: HttpRequest) -> uuid.UUID | None:
    """The subscription of the browser that asks, as far as it knows."""
    known = request.get_signed_cookie(COOKIE, default="")
    return uuid.UUID(known) if known else None


@receiver(user_logged_out, dispatch_uid="notifications.push.signed_out")
def signed_out(sender: Any, *, request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    """On a shared desk the next person must not see what kind of news comes for the one before."""
    subscription = subscription_of(request)
    if user is None or user.tenant_id is None or subscription is None:
        return
    with tenant_scope(user.tenant_id):
        push.remove(user=user, subscription_id=subscription)


@receiver(user_logged_in, dispatch_uid="notifications.push.signed_in")
def signed_in(sender: Any, *, request: HttpRequest, user: User, **kwargs: Any) -> None:
    """The one before has left the desk without signing out."""
    subscription = subscription_of(request)
    if user.tenant_id is None or subscription is None:
        return
    with tenant_scope(user.tenant_id):
        push.remove_of_others(user=user, subscription_id=subscription)


@receiver(signed_out_everywhere, dispatch_uid="notifications.push.signed_out_everywhere")
def signed_out_of_all(sender: Any, *, user: User, **kwargs: Any) -> None:
    """A lost phone must not go on telling what kind of news comes."""
    push.remove_all(user)


@receiver(post_save, sender=User, dispatch_uid="notifications.push.left")
def left(sender: type[User], *, instance: User, created: bool, raw: bool = False, **kwargs: Any) -> None:
    if created or raw or instance.is_active:
        return
    push.remove_all(instance)
    chat.stop_all(instance)


@receiver(post_save, sender=Absence, dispatch_uid="notifications.covers.named")
def named(sender: type[Absence], *, instance: Absence, created: bool, raw: bool = False, **kwargs: Any) -> None:
    if created and not raw:
        covers.tell(instance)
