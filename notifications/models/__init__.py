"""The tables of messaging. Their one writer each: ``lifecycle`` (messages), ``receipts``, ``suppression``, ``inbox``."""

from __future__ import annotations

from notifications.models.approval import WhatsAppApproval, WhatsAppContent
from notifications.models.brand import Brand, BrandLogo
from notifications.models.bulk import BulkRecipient, BulkRowError, BulkSend, ClassRule
from notifications.models.consent import ConsentRecord, ConsentText, OptEvent, SendingRule
from notifications.models.conversation import Conversation, ReplySettings, SenderCapability
from notifications.models.desk import DeskTask
from notifications.models.event import NotificationEvent
from notifications.models.export import ExportFormat, ExportStatus, MessageExport, MessageExportPart, SavedFilter
from notifications.models.inbox import BellState, Notification, NotificationItem
from notifications.models.links import LinkClick, ShortLink
from notifications.models.message import Message, MessageAttempt, MessageLog
from notifications.models.preference import NotificationPreference, SuppressedAddress
from notifications.models.receipt import InboundMessage, ProviderReceipt
from notifications.models.rollup import DailyCount, Dimension, RollupMark, RollupState
from notifications.models.staff import (
    Announcement,
    ChatTarget,
    Escalation,
    NotificationDelivery,
    PushSubscription,
    StaffPreference,
)
from notifications.models.template import MessageTemplate, TemplateVersion

__all__ = [
    "Announcement",
    "BellState",
    "Brand",
    "BrandLogo",
    "BulkRecipient",
    "BulkRowError",
    "BulkSend",
    "ChatTarget",
    "ClassRule",
    "ConsentRecord",
    "ConsentText",
    "Conversation",
    "DailyCount",
    "DeskTask",
    "Dimension",
    "Escalation",
    "ExportFormat",
    "ExportStatus",
    "InboundMessage",
    "LinkClick",
    "Message",
    "MessageAttempt",
    "MessageExport",
    "MessageExportPart",
    "MessageLog",
    "MessageTemplate",
    "Notification",
    "NotificationDelivery",
    "NotificationEvent",
    "NotificationItem",
    "NotificationPreference",
    "OptEvent",
    "ProviderReceipt",
    "PushSubscription",
    "ReplySettings",
    "RollupMark",
    "RollupState",
    "SavedFilter",
    "SenderCapability",
    "SendingRule",
    "ShortLink",
    "StaffPreference",
    "SuppressedAddress",
    "TemplateVersion",
    "WhatsAppApproval",
    "WhatsAppContent",
]
