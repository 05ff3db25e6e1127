"""Runs what is due: the jobs of ``infra/schedule.yaml``, each as a command of ``omni`` in a process of its own."""
