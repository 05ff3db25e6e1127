"""The order in which tests are dealt to the workers of a run: each begins with slow modules and ends with fast ones.

xdist cuts the list into one part for each worker; whoever has done his own takes from the end of another's. With slow tests
at the ends, a run would wait for the last of them while the other workers have nothing to do.
"""

from itertools import groupby


def dealt(items, workers):
    """Return ``items`` in that order; a module stays whole unless it lies at the border of two parts."""
    modules = [list(group) for _, group in groupby(items, key=lambda item: item.path)]
    slow = [module for module in modules if any(item.get_closest_marker("slow") for item in module)]
    fast = [item for module in modules if module not in slow for item in module]
    found, share = [], -(-len(items) // workers)
    for worker in range(workers):
        part = [item for module in slow[worker::workers] for item in module]
        missing = max(share * (worker + 1) - len(found) - len(part), 0)
        found += part + fast[:missing]
        del fast[:missing]
    return found + fast
