"""A provider that behaves like a real one, for the demo and for tests: Twilio's API, its call-backs, a mail server.

``python manage.py sandbox`` runs it as a process of its own, on this machine only, with its own database file. Nothing
here may import a model of the product: the sandbox knows numbers and texts, as a real provider does.

    account.py    the fixed account
    magic.py      the numbers and addresses on which it misbehaves
    store.py      what it keeps: messages, mails, call-backs that are due
    server.py     the HTTP side: Twilio's API, and ours for the page
    callbacks.py  sends what is due, signed and in order, until the web answers
    twilio_api.py, unifonic_api.py  what they speak
    smtp.py       the mail server
    client.py     what the page uses to ask it
"""
