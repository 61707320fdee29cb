"""What every training run shares, whatever it teaches: schedule, steps, records, checkpoints, processes."""
