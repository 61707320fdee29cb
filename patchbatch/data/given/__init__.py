"""What callers hand in, whatever holds it: lists, arrays, tensors, pictures of PIL; one converter a kind."""
