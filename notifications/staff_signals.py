"""Who signs out or leaves hears nothing more beside the bell: this browser then, or all of theirs and their channels."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.signals import user_logged_out
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest

from core.models import User
from core.tenancy import tenant_scope
from notifications import chat, push

# Where the session keeps which browser it is in: a subscription's id.
SESSION_KEY = "push_subscription"


@receiver(user_logged_out, dispatch_uid="notifications.push.signed_out")
def signed_out(sender: Any, *, request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    """On a shared desk the next person must not see what kind of news comes for the one before."""
    subscription = request.session.get(SESSION_KEY)
    if user is None or user.tenant_id is None or not subscription:
        return
    with tenant_scope(user.tenant_id):
        push.remove(user=user, subscription_id=uuid.UUID(subscription))


@receiver(post_save, sender=User, dispatch_uid="notifications.push.left")
def left(sender: type[User], *, instance: User, created: bool, raw: bool = False, **kwargs: Any) -> None:
    if created or raw or instance.is_active:
        return
    push.remove_all(instance)
    chat.stop_all(instance)
