"""What every part of the service uses and what knows no business noun: errors, settings, telemetry, AWS."""
