"""How a network for labelled images learns: samples, losses, schedule; and the command that runs it."""
