"""Whether guests may go to hosts, and why not: plain facts of guests and hosts become cells with a reason and a remedy.

Nothing here asks a host anything, and nothing changes: ``rows`` reads the mirror, the other files are pure.
"""
