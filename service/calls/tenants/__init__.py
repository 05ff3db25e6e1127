"""A tenant's configuration, where its calls may be worked on, by which pair, and the form that a new tenant begins with."""
