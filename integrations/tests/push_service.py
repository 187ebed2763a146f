"""A push service on a real socket, and a browser that can read what was sent to it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import http_ece
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from integrations.tests.http_double import Answer, Double, Request
from notifications import push_keys

SUBJECT = "mailto:operations@agdar.example"


@dataclass
class Browser:
    """What ``pushManager.subscribe`` makes: an address at the service, a key pair, a secret."""

    endpoint: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    secret: bytes = b"0123456789abcdef"

    @property
    def p256dh(self) -> str:
        return push_keys.encode(
            self.key.public_key().public_bytes(
                serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
            )
        )

    @property
    def auth(self) -> str:
        return push_keys.encode(self.secret)

    def read(self, request: Request) -> dict[str, Any]:
        """Decrypts as the browser does (RFC 8291)."""
        assert request.headers["content-encoding"] == "aes128gcm"
        text = http_ece.decrypt(request.data, private_key=self.key, auth_secret=self.secret, version="aes128gcm")
        shown: dict[str, Any] = json.loads(text)
        return shown


def signed_claims(request: Request, public_key: str) -> dict[str, Any]:
    """The claims of the request's VAPID token, verified with the key that browsers subscribed with (RFC 8292)."""
    scheme, _space, rest = request.headers["authorization"].partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    assert scheme == "vapid"
    assert parts["k"] == public_key
    point = push_keys.decode(parts["k"])
    assert point is not None
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    audience = f"http://{request.headers['host']}"
    claims: dict[str, Any] = jwt.decode(parts["t"], key, algorithms=["ES256"], audience=audience)
    return claims


@pytest.fixture
def push_service(double: Double, settings: Any) -> Double:
    settings.VAPID_PRIVATE_KEY, settings.VAPID_SUBJECT = push_keys.new_private_key(), SUBJECT
    settings.PUSH_HOSTS = [*settings.PUSH_HOSTS, double.url]
    double.answer = Answer(201, b"")
    return double


@pytest.fixture
def browser(push_service: Double) -> Browser:
    return Browser(f"{push_service.url}/send/one")
