"""The commands of ``uvatar``, in groups; `backend.cli` puts them together. They import what they need when they run."""
