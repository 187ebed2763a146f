"""The house's own rules, walked over the whole code: each of these has been broken somewhere by a good engineer."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.core.management import call_command
from django.urls import URLPattern, URLResolver, get_resolver

from agdar.celery import QUEUES, app
from core.management.commands.demo import demo_children, demo_environment
from notifications import registry, rendering
from notifications.registry import Slot
from notifications.states import Channel

ROOT = Path(settings.BASE_DIR)
APPS = ("agdar", "core", "notifications", "integrations", "appointments", "finance")


def sources() -> Iterator[Path]:
    """Our own code, without tests and migrations."""
    for name in APPS:
        for path in (ROOT / name).rglob("*.py"):
            if not {"tests", "migrations"} & set(path.parts):
                yield path


def files_with(pattern: str) -> set[str]:
    return {str(path.relative_to(ROOT)) for path in sources() if re.search(pattern, path.read_text())}


# --- Queues and tasks -----------------------------------------------------------------------------------------------


def compose() -> dict[str, dict[str, object]]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def queues_of(command: list[str]) -> set[str]:
    return set(command[command.index("--queues") + 1].split(","))


def test_every_queue_has_a_worker_in_production_and_in_the_demo() -> None:
    named = set(QUEUES)
    named |= {route["queue"] for route in app.conf.task_routes.values()}
    named |= {entry["options"]["queue"] for entry in app.conf.beat_schedule.values()}
    named |= {str(queue) for path in sources() for queue in re.findall(r'queue="(\w+)"', path.read_text())}
    assert named == set(QUEUES)
    workers = [service["command"] for name, service in compose().items() if name.startswith("worker")]
    demo = [list(child.command) for child in demo_children(demo_environment(Path("var"), 8000), 8000)]
    for house in (workers, [command for command in demo if "worker" in command]):
        assert set().union(*map(queues_of, house)) == named
        # Nobody's confirmation waits behind a bulk send.
        assert [command for command in house if "bulk" in queues_of(command)] == [house[-1]]
        assert queues_of(house[-1]) == {"bulk"}


def test_every_entry_of_the_beat_table_and_every_route_names_a_task() -> None:
    app.loader.import_default_modules()
    named = {entry["task"] for entry in app.conf.beat_schedule.values()} | set(app.conf.task_routes)
    assert named <= set(app.tasks)


def test_the_panel_of_doorbells_imports_nothing_of_the_upper_floors_when_it_is_loaded() -> None:
    tree = ast.parse((ROOT / "core/tasks.py").read_text())
    for node in tree.body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not [
            name for name in names if name.split(".")[0] in {"notifications", "integrations", "appointments", "finance"}
        ]


# --- Doors ----------------------------------------------------------------------------------------------------------


def routes(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[tuple[str, Callable[..., object]]]:
    for entry in (resolver or get_resolver()).url_patterns:
        path = prefix + str(entry.pattern).removeprefix("^")
        if isinstance(entry, URLResolver):
            yield from routes(entry, path)
        elif isinstance(entry, URLPattern):
            yield path, entry.callback


def test_every_route_says_who_may_enter() -> None:
    silent = [path for path, view in routes() if not hasattr(view, "access") and not path.startswith("admin/")]
    assert silent == []


def test_the_public_routes_are_these() -> None:
    """A new public address is a decision: it is made here."""
    public = {path for path, view in routes() if getattr(view, "access", None) == "public"}
    for path in public:
        assert path.startswith(
            # "c/", "again/", "offer/", "series/" are the patients' links, with or without a slash at their end
            # and the worker is the same script for everybody, asked for by browsers on their own
            (
                "healthz",
                "readyz",
                "sign-in",
                "language",
                "again/",
                "offer/",
                "series/",
                "c/",
                # and its short form, with the picture that tells of an opened email; and the logo in emails
                "l/",
                # what the reader of a message wants to get
                "p/",
                # the patient's own view, whose sessions are no user's
                "me/",
                "brand/",
                "webhooks/",
                "sandbox/",
                "sign-out",
                # leads to the page before
                "admin/login/",
                "notifications/push/worker.js",
            )
        ), path


def test_the_walls_between_tenants_have_one_maker() -> None:
    assert files_with(r"\bscopes_disabled\b") == {"core/tenancy.py"}
    assert files_with(r"\b_base_manager\b") == set()


def test_looking_across_tenants_happens_only_where_no_tenant_is_known_yet() -> None:
    """The callers of ``system_scope``; a new one needs its reason there and its name here."""
    assert files_with(r"\bsystem_scope\(") - {"core/tenancy.py"} == {
        "appointments/offers.py",  # a patient's link to an offered time
        "appointments/rebooking.py",  # a patient's link that asks for a new time
        "appointments/series.py",  # a patient's link to all dates of a series
        "appointments/tokens.py",  # a patient's link
        "core/middleware.py",  # the support console
        "integrations/credentials.py",  # a worker that sends for all, a provider that names its account
        "integrations/health.py",  # /readyz, which speaks for the whole house
        "notifications/preference_links.py",  # a patient's link to the page of preferences
        "notifications/push.py",  # a browser that another clinic group's staff used before
        "notifications/receipts.py",  # a provider's receipt
        "notifications/replies.py",  # a patient's reply
        "notifications/selectors.py",  # a task that knows a message's id
        "notifications/short_links.py",  # a patient's short link
    }


# --- Settings, files, migrations ------------------------------------------------------------------------------------


def env_example() -> set[str]:
    return set(re.findall(r"^# ([A-Z][A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


def test_every_setting_is_in_the_example_and_every_example_is_read() -> None:
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "agdar/settings.py").read_text()))
    assert env_example() == read


def test_the_environment_is_read_in_one_place() -> None:
    assert files_with(r"os\.environ\.get\(|os\.getenv|environ\[") <= {
        "core/management/commands/demo.py",  # builds its children's environment
    }


@pytest.mark.parametrize(
    "name",
    [
        "README.md", "CHANGELOG.md", "LICENSE", ".env.example", "Dockerfile", "docker-compose.yml", ".ci/run",
        "bin/demo", "bin/test", "bin/bench", "docs/architecture.md", "docs/operations.md", "docs/adding-a-provider.md",
        "docs/adding-an-event.md", "docs/benchmarks.md",
    ],
)  # fmt: skip
def test_what_a_stranger_looks_for_is_there(name: str) -> None:
    assert (ROOT / name).stat().st_size > 0


def test_every_link_between_our_documents_leads_somewhere() -> None:
    for document in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.relative_to(ROOT)} → {target}"


def test_pinned_packages_carry_hashes_and_no_index() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text()
        pins = re.findall(r"^[a-z0-9].*$", text, re.MULTILINE | re.IGNORECASE)
        assert all("==" in pin and pin.endswith("\\") for pin in pins)
        assert "index-url" not in text
        assert "find-links" not in text


@pytest.mark.django_db
def test_migrations_match_the_models() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_compose_runs_all_of_the_house_and_looks_after_its_health() -> None:
    services = compose()
    assert {"web", "worker", "worker-bulk", "beat", "postgres", "redis", "migrate"} <= set(services)
    for name in ("web", "worker", "worker-bulk", "beat", "postgres", "redis"):
        assert "test" in services[name]["healthcheck"], name
    for name in ("web", "worker", "worker-bulk", "beat", "migrate"):
        assert services[name]["environment"]["DEBUG"] == "False"
        assert set(services[name]["environment"]) <= env_example()
        assert services[name]["depends_on"]["postgres"] == {"condition": "service_healthy"}
    for name in ("web", "worker", "worker-bulk", "beat"):
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_no_test_is_skipped_without_a_reason() -> None:
    for path in [*ROOT.glob("*/tests/*.py"), *ROOT.glob("tests/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if name in {"pytest.mark.skip", "pytest.mark.skipif", "pytest.mark.xfail"}:
                assert any(keyword.arg == "reason" for keyword in node.keywords), f"{path}:{node.lineno}"
            if name == "pytest.skip":
                assert node.args or node.keywords, f"{path}:{node.lineno}"


# --- Pages ----------------------------------------------------------------------------------------------------------


def templates() -> list[Path]:
    """The pages; an email is none, mail programs know only inline styles."""
    found = [*(ROOT / "templates").rglob("*.html"), *ROOT.glob("*/templates/**/*.html")]
    return [path for path in found if path.name != "email.html"]


@pytest.mark.parametrize(
    "forbidden",
    [
        r"\sstyle=",
        r"\son[a-z]+=",
        r"<script(?![^>]*\bsrc=)",
        r"<style\b",
        r"hx-on",
        r"\bjs:",
        r"\|safe\b",
        r"https?://",
    ],
)
def test_pages_hold_nothing_that_the_content_policy_forbids(forbidden: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in templates()
        for line in path.read_text().splitlines()
        if re.search(forbidden, line)
    ]
    assert found == []


# --- Words ----------------------------------------------------------------------------------------------------------

CHANNELS_OF_SLOT = {
    Slot.MOBILE: {Channel.SMS, Channel.WHATSAPP},
    Slot.PREFERRED: {Channel.SMS, Channel.WHATSAPP, Channel.EMAIL},
    Slot.EMAIL: {Channel.EMAIL},
    Slot.IN_APP: set(),
}


@pytest.mark.parametrize("entry", list(registry.all_events()), ids=lambda entry: entry.key)
def test_every_event_has_words_in_both_languages_for_each_of_its_slots(entry: registry.EventType) -> None:
    assert entry.name_en
    assert entry.name_ar
    for delivery in entry.deliveries:
        needed = {channel for slot in delivery.slots for channel in CHANNELS_OF_SLOT[slot]}
        assert {words.channel for words in delivery.words} == needed
        assert (delivery.bell is not None) == (Slot.IN_APP in delivery.slots)
        texts = [("en", words.body_en) for words in delivery.words] + [
            ("ar", words.body_ar) for words in delivery.words
        ]
        for words in delivery.words:
            assert bool(words.subject_en) == bool(words.subject_ar) == (words.channel == Channel.EMAIL)
            texts += [("en", words.subject_en), ("ar", words.subject_ar)]
        if delivery.bell is not None:
            assert delivery.bell.title_en
            assert delivery.bell.title_ar
            assert bool(delivery.bell.body_en) == bool(delivery.bell.body_ar)
            texts += [("en", delivery.bell.title_en), ("en", delivery.bell.body_en)]
            texts += [("ar", delivery.bell.title_ar), ("ar", delivery.bell.body_ar)]
        for language, text in texts:
            rendering.render(text, entry.example, entry.example, language)


def catalogues() -> list[Path]:
    return sorted((ROOT / "locale").glob("*/LC_MESSAGES/*.po"))


def test_every_arabic_sentence_is_there_with_its_placeholders() -> None:
    import polib

    assert catalogues()
    for path in catalogues():
        for entry in polib.pofile(str(path)):
            if entry.obsolete:
                continue
            translations = list(entry.msgstr_plural.values()) or [entry.msgstr]
            assert all(translations), f"{path.name}: {entry.msgid!r} has no translation"
            assert not entry.fuzzy, f"{path.name}: {entry.msgid!r} is fuzzy"
            wanted = set(re.findall(r"%\((\w+)\)", entry.msgid + entry.msgid_plural))
            for text in translations:
                # “One message” needs no number in some plural forms.
                given = set(re.findall(r"%\((\w+)\)", text))
                assert given == wanted or (entry.msgid_plural and given <= wanted), entry.msgid


def test_the_compiled_catalogues_are_those_of_the_sources() -> None:
    import polib

    for path in catalogues():
        compiled = {
            (entry.msgctxt, entry.msgid): entry.msgstr or entry.msgstr_plural
            for entry in polib.mofile(str(path.with_suffix(".mo")))
        }
        source = {
            (entry.msgctxt, entry.msgid): entry.msgstr or entry.msgstr_plural
            for entry in polib.pofile(str(path)).translated_entries()
        }
        assert compiled == source


def test_every_sentence_of_the_code_is_in_the_catalogue(tmp_path: Path) -> None:
    """Extracts the sentences afresh, from a copy, and compares."""
    import shutil

    import polib

    if shutil.which("xgettext") is None:
        pytest.skip("xgettext (package gettext) is not installed")
    for name in (*APPS, "templates", "locale"):
        shutil.copytree(
            ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("tests", "migrations", "__pycache__", "*.mo")
        )
    subprocess.run(
        ["django-admin", "makemessages", "--locale", "ar", "--no-location", "--verbosity", "0"],
        cwd=tmp_path, check=True, env={"PATH": f"{ROOT / '.venv/bin'}:/usr/local/bin:/usr/bin:/bin"},
    )  # fmt: skip
    extracted = {
        entry.msgid for entry in polib.pofile(str(tmp_path / "locale/ar/LC_MESSAGES/django.po")) if not entry.obsolete
    }
    known = {entry.msgid for entry in polib.pofile(str(ROOT / "locale/ar/LC_MESSAGES/django.po")) if not entry.obsolete}
    assert extracted - known == set()
