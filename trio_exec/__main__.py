"""`python -m trio_exec` is the same as `trio-exec`."""

from trio_exec.cli import main

if __name__ == "__main__":
    main()
