"""Tables, estimates and plots of the results of a search."""
