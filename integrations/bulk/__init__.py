"""Bulk sends: an audience, words, a check, and the send itself, which survives any crash.

audience · upload     people, by filters or from a file → ``BulkRecipient`` rows
words                 the frozen texts of a send
plan                  who gets it, who not and why, what it costs: nothing is written to the outbox yet
control               the verbs of people: submit, approve, pause, resume, stop
run                   the rows of the outbox, chunk by chunk, and what the clock does
progress              how it stands, and who has not got it
"""
