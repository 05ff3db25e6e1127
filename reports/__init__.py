"""The weekly regression report, computed from the warehouse alone."""
