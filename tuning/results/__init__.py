"""Tables, estimates and plots of the trials of a search."""
