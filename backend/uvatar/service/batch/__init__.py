"""Thousands of photos: ``uvatar batch``, resumable, on this computer or on a Ray cluster, with a report."""
