"""People under locust: hustlers and posters against a service, in shapes, with thresholds."""
