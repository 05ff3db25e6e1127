"""HTTP: endpoints and problem bodies; contains no business rules."""
