"""What a run is: its options, its folder, its checkpoints, and how it is carried out."""
