"""AWS as functions and stacks see it: API Gateway, events, the template."""
