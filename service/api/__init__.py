"""HTTP: operations, pages and problem bodies; contains no business rules."""
