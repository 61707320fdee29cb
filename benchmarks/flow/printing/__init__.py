"""How figures are shown: the columns of the papers, published rows, Markdown, LaTeX, plain text, CSV."""
