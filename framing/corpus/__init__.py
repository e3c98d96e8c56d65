"""Many documents, safely: what a run wrote can be trusted after a crash."""
