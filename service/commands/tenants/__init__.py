"""``tenant``: create, configure, suspend, export and delete tenants of the call pipeline."""
