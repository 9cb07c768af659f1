"""The checks of `verify_run`, one file each. They report; they raise for nothing but an unreachable database."""
