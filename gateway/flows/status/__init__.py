"""The state of the running gateway at a glance: what it is, what waits, what fails, what needs a person."""
