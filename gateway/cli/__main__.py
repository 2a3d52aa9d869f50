"""`python -m gateway.cli`, the same as `hustlexp`."""

from gateway.cli import main

main()
