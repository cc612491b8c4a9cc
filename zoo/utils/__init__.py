"""Helper functions shared by the modules of `zoo`."""
