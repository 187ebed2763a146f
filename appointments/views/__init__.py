"""The roof over the visits: lists, calendar, booking, one visit, its moves, and the patient's link."""
