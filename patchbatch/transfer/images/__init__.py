"""Images with the class or the person they show: readers of public sets, and who is learned and who is judged."""
