"""Deployments of code: the lock that keeps releases of pairs out, and the rehearsal of production on this machine."""
