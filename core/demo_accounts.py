"""Who may sign in to the demo clinics. Read by the seed, by the sign-in page of a demo and by the start script.

Plain data: must never import Django, so that a script can read it before anything is set up.
"""

from __future__ import annotations

from dataclasses import dataclass

# Public on purpose: these accounts exist only where the demo data was loaded.
DEMO_PASSWORD = "noor-amal-demo"  # noqa: S105


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """One account. ``role`` holds a value of ``core.models.Role``."""

    email: str
    name_en: str
    name_ar: str
    role: str
    tenant_slug: str


DEMO_ACCOUNTS: tuple[DemoAccount, ...] = (
    DemoAccount("desk@noor.example", "Hind Al-Qahtani", "هند القحطاني", "FRONT_DESK", "noor"),
    DemoAccount("layla@noor.example", "Layla Hassan", "ليلى حسن", "PROVIDER", "noor"),
    DemoAccount("admin@noor.example", "Reem Al-Dossari", "ريم الدوسري", "ADMIN", "noor"),
    DemoAccount("sara@noor.example", "Sara Al-Mutairi", "سارة المطيري", "PATIENT", "noor"),
    DemoAccount("desk2@noor.example", "Yousef Al-Shehri", "يوسف الشهري", "FRONT_DESK", "noor"),
    DemoAccount("nasser@noor.example", "Nasser Al-Otaibi", "ناصر العتيبي", "PROVIDER", "noor"),
    DemoAccount("maha@noor.example", "Maha Al-Zahrani", "مها الزهراني", "PROVIDER", "noor"),
    DemoAccount("admin2@noor.example", "Faisal Al-Anazi", "فيصل العنزي", "ADMIN", "noor"),
    DemoAccount("desk@amal.example", "Afnan Al-Ghamdi", "أفنان الغامدي", "FRONT_DESK", "amal"),
    DemoAccount("omar@amal.example", "Omar Bakhsh", "عمر بخش", "PROVIDER", "amal"),
    DemoAccount("admin@amal.example", "Tariq Al-Harbi", "طارق الحربي", "ADMIN", "amal"),
    DemoAccount("noura@amal.example", "Noura Al-Juhani", "نورة الجهني", "PATIENT", "amal"),
    DemoAccount("desk2@amal.example", "Bader Al-Zaidi", "بدر الزيدي", "FRONT_DESK", "amal"),
    DemoAccount("hanan@amal.example", "Hanan Al-Sulami", "حنان السلمي", "PROVIDER", "amal"),
    DemoAccount("khalid@amal.example", "Khalid Felemban", "خالد فلمبان", "PROVIDER", "amal"),
    DemoAccount("admin2@amal.example", "Rania Al-Maghrabi", "رانيا المغربي", "ADMIN", "amal"),
)
