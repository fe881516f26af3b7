"""The thinking: pages and a question in, an answer with citations out."""
