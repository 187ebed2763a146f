"""Addresses of the money, under ``/finance/``. Included at the root."""

from __future__ import annotations

from django.urls import path

from finance import views

app_name = "finance"

urlpatterns = [
    path("finance/invoices/create/", views.invoice_create, name="invoice_create"),
    path("finance/invoices/<uuid:pk>/", views.invoice_detail, name="invoice_detail"),
    path("finance/invoices/<uuid:pk>/payer/", views.invoice_payer, name="invoice_payer"),
    path("finance/invoices/<uuid:pk>/void/", views.invoice_void, name="invoice_void"),
    path("finance/invoices/<uuid:pk>/refunds/create/", views.refund_create, name="refund_create"),
    path("finance/invoices/<uuid:pk>/payments/create/", views.payment_create, name="payment_create"),
    path("finance/invoices/<uuid:pk>/remind/", views.payment_remind, name="payment_remind"),
    path("settings/billing/", views.billing_settings, name="billing_settings"),
]
