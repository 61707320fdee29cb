"""Images with the class or the person they show: readers of public sets, who is learned, who is judged."""
