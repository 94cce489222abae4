"""Appliances (.ova): the archive, its descriptor, manifest and images, read and never believed.

Only the standard library and lxml.
"""
