"""What a request says about the machine behind it: its address, and browser and system in words.

Both are for people and for throttles. Neither proves who somebody is.
"""

from __future__ import annotations

import ipaddress
import re

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _

# The first that is found; the order matters, since browsers name each other.
_BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari"))
_SYSTEMS = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS", "macOS"))


def client_ip(request: HttpRequest) -> str | None:
    """The caller's address. Behind a proxy it is the last one of ``X-Forwarded-For``: that one the proxy wrote itself,
    all before it may be invented."""
    told: str = request.META.get("REMOTE_ADDR", "")
    if settings.BEHIND_PROXY:
        told = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip() or told
    try:
        return str(ipaddress.ip_address(told))
    except ValueError:
        # A socket of the machine itself has none.
        return None


def device_name(agent: str) -> str:
    """“Chrome on Android”, as far as the browser says so."""
    browser = next((name for sign, name in _BROWSERS if sign in agent), "")
    system = next((name for sign, name in _SYSTEMS if sign in agent), "Linux" if re.search(r"Linux|X11", agent) else "")
    if browser and system:
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    return browser or system or _("A browser")
