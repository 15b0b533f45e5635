"""Training steps that a GPU is never kept waiting for: pictures, augmentation and the whole step are on the device."""
