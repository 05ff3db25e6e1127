"""HTTP: endpoints and problem bodies; no rule of the business lives here."""
