"""Workers: processes that run several trials of a search at the same time.

The process that calls `search` is the driver. It alone draws values and writes the
folder of the search. Workers only compute.
"""
