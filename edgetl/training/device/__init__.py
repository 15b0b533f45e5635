"""What training does to whole batches on the device, inside of a CUDA graph too."""
