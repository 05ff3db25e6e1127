"""Commands of the harness, one module each, registered in eval/__main__.py."""
