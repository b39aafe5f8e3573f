"""The verbs for captured events: they import, publish, replay and judge them."""
