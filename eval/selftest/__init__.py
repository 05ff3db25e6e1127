"""Tests the gate: it must reject each planted fault for the right reason, and pass a good system."""
