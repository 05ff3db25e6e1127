"""Checks a task's case files: single cases, copies between cases, balance, and the judge's calibration rows."""
