"""``python -m omni``: the same as ``omni``, where no console script is on the path."""

from omni.main import main

if __name__ == "__main__":
    main()
