"""`python -m edgetl`."""

from edgetl.cli import main

if __name__ == "__main__":
    main()
