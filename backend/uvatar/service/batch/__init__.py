"""``uvatar batch``: thousands of photos, resumable, on this computer or on a Ray cluster, with a report."""
