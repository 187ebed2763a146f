"""The people and places every other app talks about. One file per noun."""

from core.models.audit import AuditEvent
from core.models.heartbeat import Heartbeat
from core.models.patient import ConsentVerification, Guardian, Guardianship, Patient, SubFile
from core.models.sequence import NumberSequence
from core.models.tenant import Department, Language, Location, Tenant
from core.models.user import Role, User

__all__ = [
    "AuditEvent",
    "ConsentVerification",
    "Department",
    "Guardian",
    "Guardianship",
    "Heartbeat",
    "Language",
    "Location",
    "NumberSequence",
    "Patient",
    "Role",
    "SubFile",
    "Tenant",
    "User",
]
