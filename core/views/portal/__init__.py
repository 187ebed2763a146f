"""The patient's own view at /me/: no account, a code on a known address, a short session. Roof: may import every app."""
