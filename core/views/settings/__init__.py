"""The clinic group's own settings: one page an idea, an overview in front of them. Roof: may import every app."""
