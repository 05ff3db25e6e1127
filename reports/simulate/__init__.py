"""Weeks with a known truth: false alarms, power, time and memory of the weekly report."""
