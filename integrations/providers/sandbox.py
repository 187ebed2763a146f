"""The sandbox: Twilio's adapter at another address, so that the demo runs the code of production."""

from __future__ import annotations

from django.conf import settings

from integrations.providers.twilio import Account, TwilioProvider
from integrations.sandbox import account
from integrations.sms_providers import Outgoing, empty_settings


class SandboxProvider(TwilioProvider):
    """Set up by ``SANDBOX_URL`` alone; the account is fixed and works nowhere else."""

    name = "sandbox"

    def needs_approval(self, channel: str) -> bool:
        """As Twilio where the demo shows it; a plain house sends free text."""
        return settings.SANDBOX_WHATSAPP_APPROVAL and super().needs_approval(channel)

    def _content(self, outgoing: Outgoing) -> dict[str, str]:
        """The sandbox keeps no contents, so it is told what the phone shows."""
        content = super()._content(outgoing)
        return content if outgoing.approved is None else {**content, "SandboxBody": outgoing.body}

    @classmethod
    def missing_settings(cls, channel: str) -> list[str]:  # noqa: ARG003  # the same for both channels
        return empty_settings("SANDBOX_URL")

    def settings_account(self) -> Account:
        return Account(
            sid=account.SID,
            token=account.TOKEN,
            base_url=settings.SANDBOX_URL,
            sms_from=account.SMS_FROM,
            whatsapp_from=account.WHATSAPP_FROM,
            # With a service Twilio also calls back "queued", so the demo shows every status there is.
            messaging_service=account.MESSAGING_SERVICE,
        )
