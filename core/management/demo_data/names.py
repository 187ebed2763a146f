"""Names in both scripts, and the small talk of a clinic: reasons, next steps, descriptions."""

from __future__ import annotations

from typing import NamedTuple


class Pair(NamedTuple):
    """The same words in English and in Arabic."""

    en: str
    ar: str


FEMALE = tuple(
    Pair(*pair)
    for pair in (
        ("Maryam", "مريم"), ("Fatimah", "فاطمة"), ("Aisha", "عائشة"), ("Hessa", "حصة"), ("Munira", "منيرة"),
        ("Lama", "لمى"), ("Reema", "ريما"), ("Jawaher", "جواهر"), ("Wafa", "وفاء"), ("Abeer", "عبير"),
        ("Ghada", "غادة"), ("Dalal", "دلال"), ("Shahad", "شهد"), ("Rawan", "روان"), ("Lujain", "لجين"),
        ("Joud", "جود"), ("Danah", "دانة"), ("Haya", "هيا"), ("Latifa", "لطيفة"), ("Khulood", "خلود"),
        ("Badriya", "بدرية"), ("Salma", "سلمى"), ("Huda", "هدى"), ("Nouf", "نوف"), ("Arwa", "أروى"),
    )
)  # fmt: skip
MALE = tuple(
    Pair(*pair)
    for pair in (
        ("Mohammed", "محمد"), ("Abdullah", "عبدالله"), ("Abdulrahman", "عبدالرحمن"), ("Fahad", "فهد"),
        ("Khalid", "خالد"), ("Saad", "سعد"), ("Sultan", "سلطان"), ("Turki", "تركي"), ("Faisal", "فيصل"),
        ("Saud", "سعود"), ("Majed", "ماجد"), ("Bandar", "بندر"), ("Ibrahim", "إبراهيم"), ("Yasser", "ياسر"),
        ("Ali", "علي"), ("Hassan", "حسن"), ("Rayan", "ريان"), ("Ziyad", "زياد"), ("Mishari", "مشاري"),
        ("Anas", "أنس"), ("Salman", "سلمان"), ("Mansour", "منصور"), ("Abdulaziz", "عبدالعزيز"), ("Waleed", "وليد"),
        ("Hamad", "حمد"),
    )
)  # fmt: skip
FAMILY = tuple(
    Pair(*pair)
    for pair in (
        ("Al-Otaibi", "العتيبي"), ("Al-Qahtani", "القحطاني"), ("Al-Ghamdi", "الغامدي"), ("Al-Zahrani", "الزهراني"),
        ("Al-Harbi", "الحربي"), ("Al-Dossari", "الدوسري"), ("Al-Shammari", "الشمري"), ("Al-Anazi", "العنزي"),
        ("Al-Subaie", "السبيعي"), ("Al-Rashidi", "الرشيدي"), ("Al-Malki", "المالكي"), ("Al-Shehri", "الشهري"),
        ("Al-Asmari", "الأسمري"), ("Al-Juhani", "الجهني"), ("Al-Sulami", "السلمي"), ("Al-Harthi", "الحارثي"),
        ("Al-Omari", "العمري"), ("Al-Yami", "اليامي"), ("Al-Balawi", "البلوي"), ("Al-Thagafi", "الثقفي"),
        ("Al-Amoudi", "العمودي"), ("Al-Attas", "العطاس"), ("Bawazir", "باوزير"), ("Fallatah", "فلاته"),
        ("Khayat", "خياط"), ("Al-Tamimi", "التميمي"), ("Al-Saleh", "الصالح"), ("Al-Rasheed", "الرشيد"),
    )
)  # fmt: skip
# People who came to work: they read English.
FROM_ABROAD = (
    (Pair("Priya Nair", "بريا ناير"), "F"),
    (Pair("Maria Santos", "ماريا سانتوس"), "F"),
    (Pair("Imran Siddiqui", "عمران صديقي"), "M"),
    (Pair("Daniel Mwangi", "دانيال موانغي"), "M"),
)

RESCHEDULE_REASONS = (
    Pair("The provider is at a conference that day", "الطبيب في مؤتمر ذلك اليوم"),
    Pair("You asked for another time", "بناءً على طلبكم"),
    Pair("The treatment room is being serviced", "صيانة غرفة العلاج"),
)
CLINIC_CANCELS = (
    Pair("The provider is away on that day", "اعتذار الطبيب في ذلك اليوم"),
    Pair("The branch is closed on that day", "الفرع مغلق في ذلك اليوم"),
)
PATIENT_CANCELS = (
    Pair("I am travelling", "أنا مسافر"),
    Pair("My child has a fever", "طفلي مصاب بالحمى"),
    Pair("I have an exam that day", "لدي اختبار في ذلك اليوم"),
)
DEATH = Pair("The family has told us of the patient's death", "أبلغتنا الأسرة بوفاة المريض")
NEXT_STEPS = (
    Pair(
        "Do the exercises at home twice a day. See you in a week.",
        "كرر التمارين في المنزل مرتين يوميًا. نراكم بعد أسبوع.",
    ),
    Pair("Take the medicine for five days and drink plenty of water.", "تناول الدواء خمسة أيام وأكثر من شرب الماء."),
    Pair("Please book a follow-up visit in two weeks.", "نرجو حجز موعد متابعة بعد أسبوعين."),
    Pair("The laboratory will have the results in three days.", "تظهر نتائج المختبر خلال ثلاثة أيام."),
)
HAND_WRITTEN = (
    Pair(
        "Please bring your insurance card to your next visit. Thank you.",
        "نرجو إحضار بطاقة التأمين في الزيارة القادمة. شكرًا لكم.",
    ),
    Pair(
        "You left a folder with reports at the reception. We keep it for you.",
        "نسيتم ملف التقارير لدى الاستقبال، وهو محفوظ لدينا.",
    ),
    Pair(
        "The entrance is closed for repairs this week; please use the door beside the pharmacy.",
        "المدخل مغلق للصيانة هذا الأسبوع، نرجو استخدام الباب المجاور للصيدلية.",
    ),
)
REPLIES = (
    Pair("Thank you", "شكرًا لكم"),
    Pair("Ok, see you then", "تمام، نراكم على خير"),
    Pair("Can we come half an hour later?", "ممكن نتأخر نصف ساعة؟"),
    Pair("Is there parking at the branch?", "هل يوجد مواقف عند الفرع؟"),
    Pair("Yes", "نعم"),
)
NOTES = (
    "First visit",
    "Follow-up",
    "Brings earlier reports",
    "Needs a ground-floor room",
    "Insurance card to be checked",
)
SERVICES = {
    "FAM": (Pair("Family medicine consultation", "استشارة طب الأسرة"), 20000),
    "PED": (Pair("Paediatric consultation", "استشارة طب الأطفال"), 25000),
    "SPE": (Pair("Speech therapy session", "جلسة علاج النطق"), 32000),
    "PHY": (Pair("Physiotherapy session", "جلسة علاج طبيعي"), 28000),
}
