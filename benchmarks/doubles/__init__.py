"""The other ends of the wire: a provider and a mail server that cost next to nothing. They know nothing of Django."""
