"""Which language a reader gets: their own, else the nearest that the words are written in; and which step it took.

Exact → base (``ar-SA`` → ``ar``) → the clinic group's → English. Whoever reads something else than they chose should be
the exception, so the step is noted on the message (``Choice.note``).

Must never import a model.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

# What there are formats and words for.
KNOWN = ("ar", "en")


@dataclass(frozen=True, slots=True)
class Choice:
    """``step`` is "exact", "base", "tenant", "english" or "only": the words are written in nothing else."""

    language: str
    wanted: str
    step: str

    def note(self) -> dict[str, dict[str, str]]:
        """For the message's log; empty when the reader gets what they chose."""
        if self.step == "exact":
            return {}
        return {"language": {"wanted": self.wanted, "used": self.language, "because": self.step}}


def choose(wanted: str, *, tenant_default: str, written: Collection[str] = KNOWN) -> Choice:
    """``written``: the languages that the words exist in; without any, as if all were (there is nothing to lose)."""
    offered = [language for language in KNOWN if language in written] or list(KNOWN)
    steps = (
        (wanted, "exact"),
        (wanted.replace("_", "-").partition("-")[0].lower(), "base"),
        (tenant_default, "tenant"),
        ("en", "english"),
    )
    for language, step in steps:
        if language in offered:
            return Choice(language, wanted, step)
    return Choice(offered[0], wanted, "only")
