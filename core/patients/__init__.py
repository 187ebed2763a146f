"""The patient's file: open and change it, who speaks for the patient, which numbers are somebody else's.

Keyword-only, atomic, audited; refusals are ``DomainError`` with a sentence for the person at the desk. Needs the
tenant's scope open. Must never import anything of the other apps.
"""

from core.patients.files import EDITABLE, patient_create, patient_restrict, patient_unrestrict, patient_update
from core.patients.guardians import (
    guardian_add,
    guardian_block,
    guardian_make_primary,
    guardian_remove,
    guardian_set_messages,
    guardian_set_terms,
    guardian_unblock,
    guardian_update,
    guardian_verify,
)
from core.patients.numbers import number_is_wrong

__all__ = [
    "EDITABLE",
    "guardian_add",
    "guardian_block",
    "guardian_make_primary",
    "guardian_remove",
    "guardian_set_messages",
    "guardian_set_terms",
    "guardian_unblock",
    "guardian_update",
    "guardian_verify",
    "number_is_wrong",
    "patient_create",
    "patient_restrict",
    "patient_unrestrict",
    "patient_update",
]
