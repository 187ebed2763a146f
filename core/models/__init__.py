"""The people and places every other app talks about. One file per noun."""

from core.models.account import AccountLetter, Authenticator
from core.models.audit import AuditEvent
from core.models.duty import Absence, DutyShift, Holiday
from core.models.heartbeat import Heartbeat
from core.models.look import Look
from core.models.patient import ConsentVerification, Guardian, Guardianship, Patient, SubFile
from core.models.portal import PortalCode, PortalGuess, PortalRequest, PortalSession
from core.models.rights import (
    ErasedWords,
    LegalHold,
    RightsKind,
    RightsRequest,
    RightsState,
    SubjectExport,
    SubjectExportPart,
)
from core.models.sequence import NumberSequence
from core.models.session import Session
from core.models.settings import TenantSettings
from core.models.tags import PatientTag, PatientTagging
from core.models.tenant import Department, Language, Location, Tenant
from core.models.user import Role, User

__all__ = [
    "Absence",
    "AccountLetter",
    "AuditEvent",
    "Authenticator",
    "ConsentVerification",
    "Department",
    "DutyShift",
    "ErasedWords",
    "Guardian",
    "Guardianship",
    "Heartbeat",
    "Holiday",
    "Language",
    "LegalHold",
    "Location",
    "Look",
    "NumberSequence",
    "Patient",
    "PatientTag",
    "PatientTagging",
    "PortalCode",
    "PortalGuess",
    "PortalRequest",
    "PortalSession",
    "RightsKind",
    "RightsRequest",
    "RightsState",
    "Role",
    "Session",
    "SubFile",
    "SubjectExport",
    "SubjectExportPart",
    "Tenant",
    "TenantSettings",
    "User",
]
