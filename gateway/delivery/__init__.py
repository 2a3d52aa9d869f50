"""Who is connected, and what is pushed to them."""
