"""`python -m alexrepro` is the same program as `alexrepro`."""

from alexrepro.cli.app import main

main()
