"""The staff's bell against django-notifications-hq: both sides' rows, and the servers they are asked through."""
