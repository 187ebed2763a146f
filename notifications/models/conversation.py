"""Conversations with patients, what our senders can do, and what a clinic group says to words of danger."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from core.tenancy import TenantModel
from notifications.states import Channel


class Conversation(TenantModel):
    """All that was written with one number. Written by ``notifications/conversations.py`` only; its row is the lock under
    which a number's replies are understood, one after the other."""

    class State(models.TextChoices):
        OPEN = "OPEN", _("Open")
        DONE = "DONE", _("Done")

    # Bare E.164. A number is no identity: ``patient`` is whom the last message to it was about.
    address = models.CharField(_("number"), max_length=254)
    channel = models.CharField(_("channel"), max_length=8, choices=Channel.choices)
    patient = models.ForeignKey("core.Patient", on_delete=models.PROTECT, null=True, related_name="conversations")
    state = models.CharField(_("state"), max_length=4, choices=State.choices, default=State.DONE)
    # Replies that wait for a person and that nobody has opened.
    unread = models.PositiveIntegerField(_("unread"), default=0)
    assigned_to = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+")
    last_reply_at = models.DateTimeField(_("last reply"))
    # “Which one?” was asked: what was wanted, and the things in the order in which they were listed.
    pending = models.JSONField(default=dict, blank=True)
    pending_at = models.DateTimeField(null=True)
    # The emergency text goes once, however many words of danger follow.
    warned_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        ordering = ["-last_reply_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["tenant", "address"], name="conversation_once")]
        indexes = [
            # used by the inbox of replies
            models.Index(fields=["tenant", "state", "-last_reply_at", "-id"], name="conversation_list")
        ]


class SenderCapability(TenantModel):
    """What one of our senders can do. A sender without a row has the defaults of ``notifications/capabilities.py``."""

    channel = models.CharField(_("channel"), max_length=8, choices=Channel.choices)
    # Empty: the provider's default sender.
    sender = models.CharField(_("sender"), max_length=254, blank=True)
    two_way = models.BooleanField(_("patients can reply"), default=False)
    dlr = models.BooleanField(_("reports its deliveries"), default=True)
    # Hosts that links in its texts may lead to; empty: any.
    url_hosts = models.JSONField(_("allowed hosts of links"), default=list, blank=True)
    max_sender_len = models.PositiveSmallIntegerField(
        _("longest name of a sender"), default=11, validators=[MinValueValidator(1), MaxValueValidator(20)]
    )

    class Meta:
        verbose_name = _("capabilities of a sender")
        verbose_name_plural = _("capabilities of senders")
        constraints = [models.UniqueConstraint(fields=["tenant", "channel", "sender"], name="sender_capability_once")]


class ReplySettings(TenantModel):
    """What a clinic group decides about replies. Without a row: ``notifications/reply_rules.py``."""

    # Besides the house's own (``notifications/reply_words.py``).
    emergency_words = models.JSONField(_("more words of danger"), default=list, blank=True)
    # What stands in the text to somebody in danger. Saudi Arabia: 997 ambulance, 911 in the large cities.
    emergency_number = models.CharField(_("emergency number"), max_length=40, default="997")
    # More replies of one number in a minute come from a machine.
    most_a_minute = models.PositiveSmallIntegerField(
        _("replies a minute"), default=5, validators=[MinValueValidator(2), MaxValueValidator(60)]
    )

    class Meta:
        verbose_name = _("settings of replies")
        verbose_name_plural = _("settings of replies")
        constraints = [models.UniqueConstraint(fields=["tenant"], name="reply_settings_once")]
