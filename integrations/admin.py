"""The support console's view of the ways out: how each provider does, what was wrong, how fast each sender may go."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from core import audit
from integrations import breaker, sms_providers
from integrations.models import Incident, ProviderState, RateBucket


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that only the program writes."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(ProviderState)
class ProviderStateAdmin(ReadOnlyAdmin):
    list_display = ("provider", "channel", "sender", "state", "code", "opened_at", "retry_at", "last_success_at")
    list_filter = ("provider", "channel", "state")
    actions = ("start_again",)

    @admin.action(description=_("Try again now"))
    def start_again(self, request: HttpRequest, queryset: QuerySet[ProviderState]) -> None:
        for row in queryset:
            breaker.start_again(row.pk, request.user)
        count = len(queryset)
        note = ngettext("%(count)s way is being tried again.", "%(count)s ways are being tried again.", count)
        self.message_user(request, note % {"count": count}, messages.SUCCESS)


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin):
    list_display = ("kind", "provider", "channel", "sender", "tenant", "code", "started_at", "ended_at")
    list_filter = ("kind", "provider", "channel")
    list_select_related = ("tenant",)
    date_hierarchy = "started_at"


class RateBucketForm(forms.ModelForm):
    """Where a speed limit holds is said when it is made; after that only the speed changes."""

    provider = forms.ChoiceField(label=_("provider"), choices=[(name, name) for name in sms_providers.ADAPTERS])
    rate = forms.FloatField(
        label=_("messages a second"),
        min_value=0,
        required=False,
        help_text=_("Empty: the provider's own limit. 0: nothing is sent."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("tenant", "provider", "channel", "sender"):
            self.fields[name].disabled = not self.instance._state.adding


@admin.register(RateBucket)
class RateBucketAdmin(admin.ModelAdmin):
    form = RateBucketForm
    fields = ("tenant", "provider", "channel", "sender", "rate")
    list_display = ("provider", "channel", "sender", "tenant", "rate", "paused_until")
    list_filter = ("provider", "channel", "tenant")
    list_select_related = ("tenant",)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """An empty rate is the same, and is audited."""
        return False

    def save_model(self, request: HttpRequest, obj: RateBucket, form: forms.ModelForm, change: bool) -> None:  # noqa: FBT001  # Django's own signature
        if change:
            # The tokens belong to the workers, which take some at this very moment.
            RateBucket.objects.filter(pk=obj.pk).update(rate=obj.rate)
        else:
            obj.save()
        audit.record(
            tenant_id=obj.tenant_id,
            actor=request.user,
            action="rate.updated",
            obj=obj,
            before={"rate": form.initial.get("rate")},
            after={"provider": obj.provider, "channel": obj.channel, "sender": obj.sender, "rate": obj.rate},
        )
