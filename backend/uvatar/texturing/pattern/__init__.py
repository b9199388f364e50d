"""The structure of garments where no photo looks, copied from where one does."""
