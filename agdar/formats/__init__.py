"""How numbers, dates and times are written, where the framework's own way is not ours. One folder for a language."""
