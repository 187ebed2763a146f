"""The support console: clinic groups, their places and people. Superusers of the platform see every tenant.

Patients, consents and the audit trail are to read only: they change by the services, with an audit row.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from core.models import (
    AuditEvent,
    ConsentVerification,
    Department,
    Guardian,
    Guardianship,
    Location,
    Patient,
    SubFile,
    Tenant,
    User,
)

# Whoever can read an authenticator's row or a recovery code's could become anybody: they change by core.second_factor.
admin.site.unregister((StaticDevice, TOTPDevice))
admin.site.site_header = admin.site.site_title = admin.site.index_title = _("Support console")


class ReadOnly:
    """Support looks. A change made here would skip the rules and the audit."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, admin.ModelAdmin):
    pass


class ReadOnlyInline(ReadOnly, admin.TabularInline):
    extra = 0

    def get_readonly_fields(self, request: HttpRequest, obj: object = None) -> tuple[str, ...]:
        """As text: times that set themselves have no form field."""
        return tuple(self.fields or ())


class TenantRowForm(forms.ModelForm):
    """A row's clinic group is chosen when it is made and never again."""

    clinic_group = forms.ModelChoiceField(queryset=Tenant.objects.none(), label=_("clinic group"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        group = self.fields["clinic_group"]
        group.queryset = Tenant.objects.order_by("name_en")
        if self.instance.tenant_id is not None:
            group.initial, group.disabled = self.instance.tenant_id, True

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "clinic_group" in cleaned:
            self.instance.tenant = cleaned["clinic_group"]
        return cleaned

    def validate_unique(self) -> None:
        """Django leaves out constraints with a field that the form does not have: here the tenant."""
        super().validate_unique()
        if not self.errors:
            try:
                self.instance.validate_constraints()
            except ValidationError as error:
                self.add_error(None, error)


@admin.register(Tenant)
class TenantAdmin(admin.ModelAdmin):
    list_display = ("name_en", "name_ar", "slug", "is_active")
    list_filter = ("is_active",)
    search_fields = ("name_en", "name_ar", "slug")

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Location)
class LocationAdmin(admin.ModelAdmin):
    form = TenantRowForm
    fields = (
        "clinic_group",
        ("name_en", "name_ar"),
        ("timezone", "weekend"),
        ("address_en", "address_ar"),
        "phone",
        ("sms_sender", "whatsapp_sender", "email_sender"),
    )
    list_display = ("name_en", "tenant", "timezone", "phone")
    list_filter = ("tenant",)
    list_select_related = ("tenant",)
    search_fields = ("name_en", "name_ar")


@admin.register(Department)
class DepartmentAdmin(admin.ModelAdmin):
    form = TenantRowForm
    fields = ("clinic_group", "code", ("name_en", "name_ar"))
    list_display = ("name_en", "code", "tenant")
    list_filter = ("tenant",)
    list_select_related = ("tenant",)
    search_fields = ("name_en", "name_ar", "code")


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    """Accounts, for superusers only: whoever may edit them could become anybody."""

    ordering = ("email",)
    list_display = ("email", "name_en", "role", "tenant", "is_active")
    list_filter = ("role", "is_active", "tenant")
    list_select_related = ("tenant",)
    search_fields = ("email", "name_en", "name_ar")
    filter_horizontal = ()
    autocomplete_fields = ("location", "department")
    readonly_fields = ("last_login",)
    fieldsets = (
        (None, {"fields": ("email", "password", "tenant", "role", "is_active")}),
        (_("Name"), {"fields": ("title_en", "name_en", "title_ar", "name_ar", "language")}),
        (_("Place of work"), {"fields": ("location", "department")}),
        (_("Platform"), {"fields": ("is_staff", "is_superuser", "last_login")}),
    )
    add_fieldsets = (
        (
            None,
            {"fields": ("email", "name_en", "name_ar", "tenant", "role", "usable_password", "password1", "password2")},
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """By the scope of the request, not by the manager that sign-in uses."""
        return User.objects.order_by("email")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return bool(request.user.is_superuser)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class GuardianshipInline(ReadOnlyInline):
    model = Guardianship
    fields = ("guardian", "kind", "is_primary", "receives_messages", "verified_at")


class SubFileInline(ReadOnlyInline):
    model = SubFile
    fields = ("number", "department", "opened_at")


@admin.register(Patient)
class PatientAdmin(ReadOnlyAdmin):
    list_display = ("mrn", "name_en", "tenant", "language", "is_active")
    list_filter = ("tenant", "is_active")
    list_select_related = ("tenant",)
    search_fields = ("mrn", "name_en", "name_ar", "phone")
    inlines = (GuardianshipInline, SubFileInline)


@admin.register(Guardian)
class GuardianAdmin(ReadOnlyAdmin):
    list_display = ("name_en", "name_ar", "tenant", "language")
    list_filter = ("tenant",)
    list_select_related = ("tenant",)
    search_fields = ("name_en", "name_ar", "phone")


@admin.register(ConsentVerification)
class ConsentVerificationAdmin(ReadOnlyAdmin):
    list_display = ("subfile", "status", "valid_until", "verified_by", "created_at")
    list_filter = ("status", "tenant")
    list_select_related = ("subfile", "verified_by")
    search_fields = ("subfile__number",)


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "tenant", "actor", "action", "object_type", "object_id")
    list_filter = ("action", "tenant")
    list_select_related = ("tenant", "actor")
    search_fields = ("object_id", "action")
    date_hierarchy = "created_at"
