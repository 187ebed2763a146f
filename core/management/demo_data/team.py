"""Who works when: a supervisor on duty, an absence to come, the holidays; and a word from the admin to all."""

from __future__ import annotations

import datetime as dt

from core.management.demo_data import build as building
from core.management.demo_data.build import Build
from core.models import Absence, DutyShift, Holiday, Role
from notifications.inbox_writing import Note, Recipient, notify_many
from notifications.models import Announcement, Notification, NotificationEvent
from notifications.states import Category

DAY = dt.timedelta(days=1)
# English, Arabic, month, day: the two that follow the Gregorian calendar.
HOLIDAYS = (("Founding Day", "يوم التأسيس", 2, 22), ("Saudi National Day", "اليوم الوطني السعودي", 9, 23))
TITLE = ("Flu vaccination for staff on Sunday", "تطعيم الإنفلونزا للموظفين يوم الأحد")
BODY = (
    "From 12:00 to 14:00 in the meeting room on the first floor. Please bring your badge.",
    "من الساعة 12:00 إلى 14:00 في قاعة الاجتماعات بالطابق الأول. يُرجى إحضار بطاقة العمل.",
)


def build_team(build: Build) -> None:
    admins, providers = build.staff(Role.ADMIN), build.staff(Role.PROVIDER)
    if len(providers) > 1:
        building.save(
            [
                Absence(
                    id=build.new_id(),
                    tenant=build.tenant,
                    user=providers[-1],
                    cover=providers[0],
                    starts_at=build.now + 3 * DAY,
                    ends_at=build.now + 5 * DAY,
                    created_at=build.now,
                )
            ]
        )
    building.save(
        [
            DutyShift(
                id=build.new_id(),
                tenant=build.tenant,
                user=admins[0],
                starts_at=build.now - dt.timedelta(hours=2),
                ends_at=build.now + 30 * DAY,
                created_at=build.now,
            )
        ]
    )
    building.save(
        [
            Holiday(
                id=build.new_id(),
                tenant=build.tenant,
                name_en=english,
                name_ar=arabic,
                first_day=dt.date(year, month, day),
                last_day=dt.date(year, month, day),
            )
            for year in (build.today.year, build.today.year + 1)
            for english, arabic, month, day in HOLIDAYS
        ]
    )
    _announce(build)


def _announce(build: Build) -> None:
    staff = [user for user in build.users.values() if user.role != Role.PATIENT]
    at = build.now - dt.timedelta(hours=3)
    word = Announcement(
        id=build.new_id(),
        tenant=build.tenant,
        author=build.staff(Role.ADMIN)[0],
        title_en=TITLE[0],
        title_ar=TITLE[1],
        body_en=BODY[0],
        body_ar=BODY[1],
        created_at=at,
    )
    event = NotificationEvent(
        id=build.new_id(),
        tenant=build.tenant,
        key="staff.announcement",
        actor=word.author,
        payload={"announcement_id": str(word.pk)},
        dedupe_key=f"staff.announcement:{word.pk}",
        created_at=at,
        processed_at=at,
    )
    building.save([word], [event])
    notify_many(
        tenant_id=build.tenant.pk,
        note=Note(
            title=TITLE[0],
            title_ar=TITLE[1],
            message=BODY[0],
            message_ar=BODY[1],
            category=Category.ANNOUNCEMENT,
            event=event,
            dedupe_key=f"event:{event.pk}",
        ),
        recipients=[Recipient(user.pk) for user in staff],
    )
    Notification.objects.filter(event=event).update(activity_at=at, created_at=at, updated_at=at)
