"""What photos show: pixels projected onto texels, without what belongs to something else, and merged."""
