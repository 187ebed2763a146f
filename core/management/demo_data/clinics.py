"""The two clinic groups on paper: places, departments, who works where."""

from __future__ import annotations

from dataclasses import dataclass

from core.management.demo_data.names import Pair


@dataclass(frozen=True, slots=True)
class PlacePlan:
    """One location."""

    name: Pair
    address: Pair
    phone: str


@dataclass(frozen=True, slots=True)
class ProviderPlan:
    """Who treats whom: adults are booked into ``adults``, children into ``children`` (department codes)."""

    email: str
    place: int
    department: str
    adults: str
    children: str
    minutes: int


@dataclass(frozen=True, slots=True)
class ClinicPlan:
    """One tenant. ``weekend`` holds weekdays, Monday is 0."""

    slug: str
    name: Pair
    seed: int
    weekend: tuple[int, ...]
    sms_sender: str
    whatsapp_sender: str
    places: tuple[PlacePlan, PlacePlan]
    providers: tuple[ProviderPlan, ProviderPlan, ProviderPlan]


DEPARTMENTS: tuple[tuple[str, Pair], ...] = (
    ("FAM", Pair("Family Medicine", "طب الأسرة")),
    ("PED", Pair("Paediatrics", "طب الأطفال")),
    ("SPE", Pair("Speech Therapy", "علاج النطق")),
    ("PHY", Pair("Physiotherapy", "العلاج الطبيعي")),
)

NOOR = ClinicPlan(
    slug="noor",
    name=Pair("Noor Clinics", "عيادات نور"),
    seed=20301,
    weekend=(4, 5),
    sms_sender="NoorClinics",
    whatsapp_sender="+966112045500",
    places=(
        PlacePlan(
            Pair("Olaya Branch", "فرع العليا"),
            Pair("Olaya Street, Riyadh", "شارع العليا، الرياض"),
            "+966112045501",
        ),
        PlacePlan(
            Pair("Al-Nakheel Branch", "فرع النخيل"),
            Pair("King Fahd Road, Al-Nakheel, Riyadh", "طريق الملك فهد، النخيل، الرياض"),
            "+966112045502",
        ),
    ),
    providers=(
        ProviderPlan("layla@noor.example", 0, "PED", adults="FAM", children="PED", minutes=30),
        ProviderPlan("nasser@noor.example", 0, "PHY", adults="PHY", children="PHY", minutes=45),
        ProviderPlan("maha@noor.example", 1, "SPE", adults="SPE", children="SPE", minutes=45),
    ),
)
# Open on Saturdays: a weekend is data.
AMAL = ClinicPlan(
    slug="amal",
    name=Pair("Amal Medical", "أمل الطبية"),
    seed=20302,
    weekend=(4,),
    sms_sender="AmalMedical",
    whatsapp_sender="+966126067700",
    places=(
        PlacePlan(
            Pair("Al-Rawdah Branch", "فرع الروضة"),
            Pair("Prince Sultan Street, Al-Rawdah, Jeddah", "شارع الأمير سلطان، الروضة، جدة"),
            "+966126067701",
        ),
        PlacePlan(
            Pair("Al-Hamra Branch", "فرع الحمراء"),
            Pair("Palestine Street, Al-Hamra, Jeddah", "شارع فلسطين، الحمراء، جدة"),
            "+966126067702",
        ),
    ),
    providers=(
        ProviderPlan("omar@amal.example", 0, "FAM", adults="FAM", children="PED", minutes=30),
        ProviderPlan("hanan@amal.example", 0, "SPE", adults="SPE", children="SPE", minutes=45),
        ProviderPlan("khalid@amal.example", 1, "PHY", adults="PHY", children="PHY", minutes=45),
    ),
)
CLINICS = (NOOR, AMAL)
