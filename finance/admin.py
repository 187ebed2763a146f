"""The support console's view of the money: to read. Amounts change by the services only, with their audit."""

from __future__ import annotations

from django.contrib import admin

from core.admin import ReadOnlyAdmin, ReadOnlyInline
from finance.models import Invoice, Payment


class PaymentInline(ReadOnlyInline):
    model = Payment
    fields = ("created_at", "amount_minor", "received_by")


@admin.register(Invoice)
class InvoiceAdmin(ReadOnlyAdmin):
    list_display = ("number", "tenant", "status", "amount_minor", "paid_minor", "currency", "due_on")
    list_filter = ("status", "tenant")
    list_select_related = ("tenant",)
    search_fields = ("number", "patient__mrn")
    inlines = (PaymentInline,)
