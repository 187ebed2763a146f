"""The first page of the settings: what is set up, what is missing, and where to do it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from core import staff_accounts, tenant_settings
from core.access import Can, require
from core.models import Department, Location, PatientTag, Role, Tenant
from core.templatetags.agdar_ui import CHANNELS
from core.views.settings.senders import is_reachable
from finance import payment_reminders
from integrations import credentials, sms_providers
from notifications.states import Channel


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the overview. ``missing``: what is still to be done, in a sentence; empty when all is there."""

    url: str
    icon: str
    title: str
    summary: str
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    items: list[Item]


@require(Can.MANAGE_SETTINGS)
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    tenant = request.user.tenant
    groups = [
        Group(_("The clinic"), list(_clinic(tenant))),
        Group(_("People and safety"), list(_people(tenant))),
        Group(_("Messages"), list(_messages(tenant))),
    ]
    items = [item for group in groups for item in group.items]
    context = {"groups": groups, "total": len(items), "ready": sum(not item.missing for item in items)}
    return render(request, "core/settings/overview.html", context)


def _clinic(tenant: Tenant) -> Iterator[Item]:
    yield Item(
        reverse("core:settings_clinic"),
        "building-hospital",
        _("Clinic group"),
        " · ".join(filter(None, [tenant.name_en, tenant.name_ar, tenant.currency])),
        "" if tenant.name_en and tenant.name_ar else _("The name is missing in one of the two languages."),
    )
    places = list(Location.objects.filter(is_active=True))
    without_hours = sum(not place.opening_hours for place in places)
    yield Item(
        reverse("core:settings_locations"),
        "map-pin",
        _("Locations"),
        ngettext("%(count)s location in use", "%(count)s locations in use", len(places)) % {"count": len(places)},
        _("There is no location yet.")
        if not places
        else ngettext(
            "The opening hours of %(count)s location are missing.",
            "The opening hours of %(count)s locations are missing.",
            without_hours,
        )
        % {"count": without_hours}
        if without_hours
        else "",
    )
    departments = Department.objects.filter(is_active=True).count()
    yield Item(
        reverse("core:settings_departments"),
        "stethoscope",
        _("Departments"),
        ngettext("%(count)s department in use", "%(count)s departments in use", departments) % {"count": departments},
        "" if departments else _("There is no department yet: visits cannot be booked."),
    )
    yield _tags()


def _tags() -> Item:
    tags = PatientTag.objects.count()
    return Item(
        reverse("core:settings_tags"),
        "tag",
        _("Tags"),
        ngettext("%(count)s tag for patients", "%(count)s tags for patients", tags) % {"count": tags},
    )


def _messages(tenant: Tenant) -> Iterator[Item]:
    own = tenant_settings.of(tenant.pk)
    off = [str(CHANNELS[channel][1]) for channel in Channel.values if not credentials.providers_for(channel, tenant.pk)]
    accounts = sorted({sms_providers.kind_of_name(name) for name in credentials.all_names(tenant.pk)})
    yield Item(
        reverse("core:settings_senders"),
        "send",
        _("Senders and accounts"),
        ngettext("%(count)s account of your own", "%(count)s accounts of your own", len(accounts))
        % {"count": len(accounts)}
        if accounts
        else _("Everything goes over the shared accounts"),
        _("Not set up: %(channels)s.") % {"channels": _(", ").join(off)}
        if off
        else _("Providers cannot reach this server to report: see the page.")
        if accounts and not is_reachable()
        else "",
    )
    yield Item(
        reverse("core:settings_hours"),
        "clock",
        _("Hours of rest"),
        _("Quiet from %(start)s to %(end)s") % {"start": f"{own.quiet_from:%H:%M}", "end": f"{own.quiet_until:%H:%M}"}
        if own.quiet_from and own.quiet_until
        else _("Messages go out at any hour"),
        "" if own.quiet_from else _("No quiet hours: a message could wake a patient at night."),
    )
    yield Item(
        reverse("appointments:policy"),
        "user-x",
        _("No-shows and waiting list"),
        _("When a patient hears of a no-show, and how times that become free are offered."),
    )
    yield Item(
        reverse("core:settings_reminders"),
        "bell",
        _("Reminders"),
        _("When patients are reminded, and how long a booking rests before it is told"),
    )
    yield Item(
        reverse("core:settings_classes"),
        "adjustments-horizontal",
        _("Classes of messages"),
        _("Service, awareness and promotion: consent and hours"),
    )
    yield Item(
        reverse("core:settings_replies"),
        "message-reply",
        _("Replies and senders"),
        _("Words of danger, and which senders patients can reply to"),
    )
    policy = payment_reminders.policy_of(tenant.pk)
    yield Item(
        reverse("finance:billing_settings"),
        "receipt",
        _("Payment reminders"),
        ngettext(
            "%(count)s reminder for an open invoice",
            "%(count)s reminders for an open invoice",
            len(policy.reminder_days),
        )
        % {"count": len(policy.reminder_days)}
        if policy.is_on
        else _("Open invoices are not reminded of"),
    )
    yield Item(
        reverse("core:settings_consents"),
        "shield-check",
        _("Consents and how much is enough"),
        _("The words patients agree to, caps a day, and the proof of opt-outs"),
    )
    yield Item(reverse("branding:settings"), "template", _("Look of emails"), _("Logo, colours and footer"))
    yield Item(
        reverse("notifications:team"),
        "alarm",
        _("Alerts to the team"),
        ngettext(
            "Without an answer an alert goes further after %(count)s minute",
            "Without an answer an alert goes further after %(count)s minutes",
            tenant.escalate_after_minutes,
        )
        % {"count": tenant.escalate_after_minutes},
    )
    yield Item(
        reverse("core:settings_retention"),
        "archive",
        _("How long what is kept"),
        ngettext(
            "Words of messages are deleted after %(count)s day",
            "Words of messages are deleted after %(count)s days",
            own.message_days,
        )
        % {"count": own.message_days}
        if own.message_days
        else _("Words of messages are kept without end"),
        "" if own.message_days else _("Nobody has decided how long the words of messages are kept."),
    )


def _people(tenant: Tenant) -> Iterator[Item]:
    active = staff_accounts.everybody().filter(is_active=True).order_by()
    counts = active.aggregate(
        people=Count("pk"),
        admins=Count("pk", filter=Q(role=Role.ADMIN)),
        unsafe=Count("pk", filter=Q(role=Role.ADMIN, second_factor_at=None)),
    )
    yield Item(
        reverse("core:settings_users"),
        "users",
        _("Users"),
        ngettext("%(count)s active account", "%(count)s active accounts", counts["people"])
        % {"count": counts["people"]},
        "" if counts["admins"] > 1 else _("There is one admin only: if they are away, nobody can help."),
    )
    yield Item(
        f"{reverse('core:settings_users')}#second-step",
        "shield-check",
        _("Second step at sign-in"),
        _("Every admin needs one") if tenant.requires_second_factor else _("Admins choose themselves"),
        ""
        if tenant.requires_second_factor or not counts["unsafe"]
        else ngettext(
            "%(count)s admin signs in with a password alone.",
            "%(count)s admins sign in with a password alone.",
            counts["unsafe"],
        )
        % {"count": counts["unsafe"]},
    )
    yield Item(reverse("core:audit"), "history", _("Audit trail"), _("Who changed what, and when"))
