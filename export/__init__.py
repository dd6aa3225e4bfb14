"""Actors as files that run elsewhere: npz for numpy alone, ONNX, TorchScript, torch.export."""
