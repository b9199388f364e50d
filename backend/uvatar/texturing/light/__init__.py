"""Light and shade: the photo's, and that of folds in clothes."""
