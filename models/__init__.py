"""The networks: tensors in, logits out; training, calibration and the registry of trained models."""
