-- "Why was this refused?" is asked with the id of a request.
CREATE INDEX audit_by_request ON audit_events (request_id);
