"""Plants bad pairs before the gate and looks whether it rejects each for the right reason, and lets a good one through."""
