"""What a process loads once and keeps is taken out of the garbage collector's sight.

A full collection walks every object alive, a fifth of a million here before the first request, and whoever's request it
falls into waits for it (docs/adr/0035-frozen-heap.md).
"""

from __future__ import annotations

import gc

from django.conf import settings
from django.urls import reverse
from django.utils import translation


def keep_loaded() -> None:
    """Loads what the first request would load (addresses and views, words of both languages), then freezes the heap.

    Once a process, when its apps are there; before a fork, so that the children share the pages.
    """
    # The first address that is made imports every view and fills the tables of all addresses.
    reverse("core:home")
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            translation.gettext("Yes")
    gc.collect()
    gc.freeze()
