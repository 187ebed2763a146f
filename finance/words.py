"""The words a new clinic group starts with: the notices of a bill, in both languages.

What was treated is never named: an amount and a number are enough. Arabic uses the polite plural, which fits men and
women alike.
"""

from __future__ import annotations

from notifications.registry import Words as Text
from notifications.registry import letter
from notifications.states import Channel

ISSUED = (
    Text(
        Channel.SMS,
        body_en="{clinic_name}: invoice {number} of {amount} for {patient_name}, due on {due_date}. Questions: {phone}",
        body_ar="{clinic_name}: صدرت الفاتورة {number} باسم {patient_name} بمبلغ {amount}، وتستحق يوم {due_date}."
        " للاستفسار: {phone}",
    ),
    Text(
        Channel.WHATSAPP,
        body_en="Hello {recipient_name},\na new invoice for {patient_name}:\n\nNumber {number}\n*{amount}*\n"
        "Due on {due_date}\n\nQuestions? Call {phone}.\n{clinic_name}",
        body_ar="مرحبًا {recipient_name}،\nفاتورة جديدة باسم {patient_name}:\n\nرقم {number}\n*{amount}*\n"
        "تستحق يوم {due_date}\n\nللاستفسار: {phone}\n{clinic_name}",
    ),
    letter(
        "Invoice {number}",
        "فاتورة {number}",
        "A new invoice has been issued for {patient_name}:\n\nNumber: {number}\nAmount: {amount}\nDue on: {due_date}\n\n"
        "You can pay at the reception desk. Questions? Call us on {phone}.",
        "صدرت فاتورة جديدة باسم {patient_name}:\n\nالرقم: {number}\nالمبلغ: {amount}\nتاريخ الاستحقاق: {due_date}\n\n"
        "يمكن السداد لدى مكتب الاستقبال. للاستفسار: {phone}",
    ),
)
DUE = (
    Text(
        Channel.SMS,
        body_en="{clinic_name}: a reminder that {open_amount} of invoice {number} for {patient_name} is open, due on"
        " {due_date}. Questions: {phone}",
        body_ar="{clinic_name}: نذكّركم بسداد {open_amount} من الفاتورة {number} باسم {patient_name}، وتستحق يوم {due_date}."
        " للاستفسار: {phone}",
    ),
    Text(
        Channel.WHATSAPP,
        body_en="Hello {recipient_name},\na friendly reminder of invoice {number} for {patient_name}:\n\n"
        "Still open: *{open_amount}*\nDue on {due_date}\n\nIf you have just paid, please ignore this."
        " Questions? Call {phone}.\n{clinic_name}",
        body_ar="مرحبًا {recipient_name}،\nتذكير ودّي بالفاتورة {number} باسم {patient_name}:\n\n"
        "المبلغ المتبقي: *{open_amount}*\nتستحق يوم {due_date}\n\nإن تم السداد فنرجو تجاهل هذه الرسالة."
        " للاستفسار: {phone}\n{clinic_name}",
    ),
    letter(
        "Payment reminder: invoice {number}",
        "تذكير بالسداد: فاتورة {number}",
        "A friendly reminder of this invoice for {patient_name}:\n\nNumber: {number}\nStill open: {open_amount}\n"
        "Due on: {due_date}\n\nIf you have just paid, please ignore this. Questions? Call us on {phone}.",
        "تذكير ودّي بهذه الفاتورة باسم {patient_name}:\n\nالرقم: {number}\nالمبلغ المتبقي: {open_amount}\n"
        "تاريخ الاستحقاق: {due_date}\n\nإن تم السداد فنرجو تجاهل هذه الرسالة. للاستفسار: {phone}",
    ),
)
PAID = (
    Text(
        Channel.SMS,
        body_en="{clinic_name}: thank you, we have received {paid_amount} for invoice {number}. Still open: {open_amount}.",
        body_ar="{clinic_name}: شكرًا لكم، استلمنا {paid_amount} للفاتورة {number}. المتبقي: {open_amount}.",
    ),
    Text(
        Channel.WHATSAPP,
        body_en="Hello {recipient_name},\nthank you, we have received *{paid_amount}* for invoice {number}.\n\n"
        "Still open: {open_amount}\n{clinic_name}",
        body_ar="مرحبًا {recipient_name}،\nشكرًا لكم، استلمنا *{paid_amount}* للفاتورة {number}.\n\n"
        "المتبقي: {open_amount}\n{clinic_name}",
    ),
    letter(
        "Payment received: invoice {number}",
        "تم استلام الدفعة: فاتورة {number}",
        "Thank you. We have received your payment:\n\nInvoice: {number}\nReceived: {paid_amount}\n"
        "Still open: {open_amount}\n\nQuestions? Call us on {phone}.",
        "شكرًا لكم. استلمنا دفعتكم:\n\nالفاتورة: {number}\nالمبلغ المستلم: {paid_amount}\n"
        "المتبقي: {open_amount}\n\nللاستفسار: {phone}",
    ),
)
OVERDUE = (
    Text(
        Channel.SMS,
        body_en="{clinic_name}: {open_amount} of invoice {number} for {patient_name} was due on {due_date} and is still"
        " open. Questions: {phone}",
        body_ar="{clinic_name}: لم نستلم بعد {open_amount} من الفاتورة {number} باسم {patient_name}، وكان موعد السداد يوم"
        " {due_date}. للاستفسار: {phone}",
    ),
    Text(
        Channel.WHATSAPP,
        body_en="Hello {recipient_name},\ninvoice {number} for {patient_name} was due on {due_date}:\n\n"
        "Still open: *{open_amount}*\n\nIf you have just paid, please ignore this. If you need more time, we are glad to"
        " find a way: call {phone}.\n{clinic_name}",
        body_ar="مرحبًا {recipient_name}،\nكان موعد سداد الفاتورة {number} باسم {patient_name} يوم {due_date}:\n\n"
        "المبلغ المتبقي: *{open_amount}*\n\nإن تم السداد فنرجو تجاهل هذه الرسالة. وإن كانت هناك حاجة إلى مهلة فيسعدنا"
        " التعاون معكم: {phone}\n{clinic_name}",
    ),
    letter(
        "Invoice {number} is past its due date",
        "فاتورة {number}: تجاوز موعد السداد",
        "This invoice for {patient_name} has not been paid in full:\n\nNumber: {number}\nStill open: {open_amount}\n"
        "It was due on: {due_date}\n\nIf you have just paid, please ignore this. If you need more time, we are glad to"
        " find a way: call us on {phone}.",
        "لم يكتمل سداد هذه الفاتورة باسم {patient_name}:\n\nالرقم: {number}\nالمبلغ المتبقي: {open_amount}\n"
        "كان تاريخ الاستحقاق: {due_date}\n\nإن تم السداد فنرجو تجاهل هذه الرسالة. وإن كانت هناك حاجة إلى مهلة فيسعدنا"
        " التعاون معكم: {phone}",
    ),
)
REFUNDED = (
    Text(
        Channel.SMS,
        body_en="{clinic_name}: we have refunded {refunded_amount} for invoice {number}. Questions: {phone}",
        body_ar="{clinic_name}: أعدنا إليكم {refunded_amount} عن الفاتورة {number}. للاستفسار: {phone}",
    ),
    Text(
        Channel.WHATSAPP,
        body_en="Hello {recipient_name},\nwe have refunded *{refunded_amount}* for invoice {number}.\n\n"
        "It can take some days until your bank shows it. Questions? Call {phone}.\n{clinic_name}",
        body_ar="مرحبًا {recipient_name}،\nأعدنا إليكم *{refunded_amount}* عن الفاتورة {number}.\n\n"
        "قد يستغرق ظهور المبلغ لدى البنك بضعة أيام. للاستفسار: {phone}\n{clinic_name}",
    ),
    letter(
        "Refund for invoice {number}",
        "استرداد مبلغ: فاتورة {number}",
        "We have refunded a payment:\n\nInvoice: {number}\nRefunded: {refunded_amount}\n\n"
        "It can take some days until your bank shows it. Questions? Call us on {phone}.",
        "أعدنا إليكم مبلغًا مدفوعًا:\n\nالفاتورة: {number}\nالمبلغ المسترد: {refunded_amount}\n\n"
        "قد يستغرق ظهور المبلغ لدى البنك بضعة أيام. للاستفسار: {phone}",
    ),
)
VOIDED = (
    Text(
        Channel.SMS,
        body_en="{clinic_name}: invoice {number} for {patient_name} is cancelled, there is nothing to pay. Questions: {phone}",
        body_ar="{clinic_name}: أُلغيت الفاتورة {number} باسم {patient_name}، ولا يلزم سداد أي مبلغ. للاستفسار: {phone}",
    ),
    Text(
        Channel.WHATSAPP,
        body_en="Hello {recipient_name},\ninvoice {number} for {patient_name} is cancelled. There is nothing to pay.\n\n"
        "Questions? Call {phone}.\n{clinic_name}",
        body_ar="مرحبًا {recipient_name}،\nأُلغيت الفاتورة {number} باسم {patient_name}، ولا يلزم سداد أي مبلغ.\n\n"
        "للاستفسار: {phone}\n{clinic_name}",
    ),
    letter(
        "Invoice {number} is cancelled",
        "إلغاء الفاتورة {number}",
        "Invoice {number} for {patient_name} is cancelled. There is nothing to pay.\n\nQuestions? Call us on {phone}.",
        "أُلغيت الفاتورة {number} باسم {patient_name}، ولا يلزم سداد أي مبلغ.\n\nللاستفسار: {phone}",
    ),
)
