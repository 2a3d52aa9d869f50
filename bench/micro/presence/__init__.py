"""What a heartbeat costs, on the server and here, against the previous way and against GEOADD."""
