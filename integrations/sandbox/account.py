"""The sandbox's only account. No secret: the server listens on this machine alone, and only the demo believes it."""

from __future__ import annotations

SID = "AC" + "5a" * 16
TOKEN = "sandbox-token-for-the-demo"  # noqa: S105
MESSAGING_SERVICE = "MG" + "5b" * 16
SMS_FROM = "AGDAR"
WHATSAPP_FROM = "+966550000000"
