"""HTTP code shared by all endpoints: access, body limits, correlation ids, problem bodies, OpenAPI."""
