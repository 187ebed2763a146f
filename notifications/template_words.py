"""Word lists that the template checks look for. Data only; a list is changed here, by people who read both languages.

The lists warn, they forbid nothing: "heart" may be a street. They are compared without marks and case, at the beginning
of a word in English, and with the usual beginnings (the article, "and", "for", "with") in Arabic.
"""

from __future__ import annotations

# A phone lies on the table: these tell whoever reads along what somebody is treated for.
HEALTH_EN = (
    "diagnos", "disease", "illness", "infect", "cancer", "tumor", "tumour", "oncolog", "chemo", "biopsy", "hiv", "aids",
    "hepatitis", "std", "sti", "syphilis", "tubercul", "diabet", "insulin", "epilep", "seizure", "psychiat", "psycholog",
    "depress", "anxiety", "bipolar", "schizo", "addict", "rehab", "pregnan", "miscarriage", "abortion", "fertil", "ivf",
    "contracept", "obstet", "gynec", "gynaec", "urolog", "erectile", "cardiolog", "dialysis", "kidney", "surgery",
    "x-ray", "mri", "ultrasound", "blood test", "positive for", "negative for", "medication", "prescription", "tablet",
    "antibiotic", "symptom", "allerg", "asthma", "overdose", "suicid", "covid",
)  # fmt: skip
HEALTH_AR = (
    "تشخيص", "مرض", "عدوى", "التهاب", "سرطان", "ورم", "اورام", "كيماوي", "خزعه", "ايدز", "نقص المناعه", "كبدي",
    "زهري", "سل", "درن", "سكري", "انسولين", "صرع", "تشنج", "نفسي", "نفسيه", "اكتئاب", "قلق", "فصام", "ادمان", "تاهيل",
    "حمل", "حامل", "اجهاض", "عقم", "خصوبه", "اطفال الانابيب", "منع الحمل", "نساء وولاده", "مسالك", "ضعف جنسي", "قلب",
    "غسيل كلى", "جراحه", "عمليه", "اشعه", "رنين", "تحليل دم", "ايجابيه", "سلبيه", "دواء", "ادويه", "وصفه",
    "اقراص", "مضاد حيوي", "اعراض", "حساسيه", "ربو", "انتحار", "كورونا",
)  # fmt: skip

# Carriers drop texts with these, and nobody can see where they lead.
SHORTENERS = (
    "bit.ly", "tinyurl.com", "t.co", "goo.gl", "ow.ly", "is.gd", "buff.ly", "cutt.ly", "rebrand.ly", "rb.gy", "shorturl.at",
    "t.ly", "s.id", "tiny.cc", "bl.ink", "lnkd.in", "v.gd", "u.to",
)  # fmt: skip

# One of these says how to stop (marketing must). A placeholder of that name does too.
OPT_OUT_EN = ("unsubscribe", "opt out", "opt-out", "stop receiving", "text stop", "send stop", "reply stop")
OPT_OUT_AR = ("الغاء الاشتراك", "لالغاء الاشتراك", "ايقاف الرسائل", "لايقاف", "للايقاف", "لايقاف الرسائل", "ارسل stop")
OPT_OUT_PLACEHOLDERS = frozenset({"opt_out_link"})
