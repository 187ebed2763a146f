"""The person who signs in: staff, and a patient who has an account."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models.tenant import BilingualName, Language
from core.tenancy import TenantManager

if TYPE_CHECKING:
    from core.models.tenant import Tenant


class Role(models.TextChoices):
    ADMIN = "ADMIN", _("Admin")
    FRONT_DESK = "FRONT_DESK", _("Front desk")
    PROVIDER = "PROVIDER", _("Provider")
    PATIENT = "PATIENT", _("Patient")


class AccountManager(BaseUserManager["User"]):
    """Finds a user before a tenant is known: at sign-in and in the session, nowhere else."""

    use_in_migrations = True

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        fields.setdefault("name_en", email)
        return self.create_user(email, password, is_staff=True, is_superuser=True, role=Role.ADMIN, **fields)


class User(AbstractBaseUser, PermissionsMixin, BilingualName):
    """Email is the login. ``tenant`` is empty only for the platform's own support accounts."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant: models.ForeignKey[Tenant | None, Tenant | None] = models.ForeignKey(
        "core.Tenant", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    email = models.EmailField(_("email"), unique=True)
    title_en = models.CharField(_("title in English"), max_length=40, blank=True)
    title_ar = models.CharField(_("title in Arabic"), max_length=40, blank=True)
    role = models.CharField(_("role"), max_length=12, choices=Role.choices, default=Role.FRONT_DESK)
    language = models.CharField(_("language"), max_length=2, choices=Language.choices, default=Language.ENGLISH)
    department = models.ForeignKey(
        "core.Department", on_delete=models.PROTECT, null=True, blank=True, related_name="staff"
    )
    location = models.ForeignKey("core.Location", on_delete=models.PROTECT, null=True, blank=True, related_name="staff")
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("may use the support console"), default=False)
    # Since when an authenticator app is asked for at sign-in; empty: it is not. Written by core.second_factor only, so
    # that every request knows it without a query of its own.
    second_factor_at = models.DateTimeField(_("second step since"), null=True, blank=True, editable=False)
    # One more, and no browser is remembered any longer.
    trust_epoch = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    accounts = AccountManager()
    objects: ClassVar[TenantManager[Self]] = TenantManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        indexes = [models.Index(fields=["tenant", "role"], name="user_by_role")]

    def name_in(self, language: str | None = None) -> str:
        """The name with its title: “Dr. Layla Hassan”, «د. ليلى حسن»."""
        from core.models.tenant import in_language

        title = in_language(self.title_en, self.title_ar, language)
        return f"{title} {super().name_in(language)}".strip()

    @property
    def initials(self) -> str:
        parts = super().name_in("en").split()
        return "".join(part[0] for part in (parts[:1] + parts[1:][-1:])).upper()
