"""The page beside every avatar that shows it in a browser, from the disk and without a network."""

PAGE = "avatar.html"
