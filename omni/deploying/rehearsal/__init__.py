"""Production rehearsed on this machine: the committed templates brought up on the local AWS, used, broken and mended."""
