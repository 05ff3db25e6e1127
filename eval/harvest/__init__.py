"""From an interaction that went wrong to a case that the gate will never forget: propose, let a person decide, accept."""
