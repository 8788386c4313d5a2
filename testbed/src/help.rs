//! What `testbed --help` says behind its flags: the endpoints, the control endpoints and the fields of a fault.
//! `docs/testbed.md` says the same at length; `testbed/tests/docs.rs` holds both against the code.

/// The text.
pub(crate) const TEXT: &str = "\
Endpoints of the Aragora service ({id}: one that this server gave out, any other is answered with 404)
  open      GET /healthz /livez /readyz /health /health/live /health/ready /api/health /api/health/detailed
            /api/health/deep /metrics /api/capabilities /api/agents /api/v1/agents /api/agents/rankings
            /api/v1/agents/rankings /api/leaderboard /api/v1/leaderboard-view /api/consensus /api/v1/consensus
            /api/auth/sso/{provider}/authorize
            POST /api/auth/login /api/auth/refresh /api/auth/mfa/verify
  bearer    GET /api/auth/session   POST /api/auth/logout /api/auth/mfa/challenge
  token     (asked for with auth.required)
            GET /api/system/info /api/slo/status /api/v1/slo/status /api/v1/slo/budget /api/v1/slos/status
            /api/v1/slos/targets /slo/budget /slos/status /slos/targets
            POST /api/debate /api/v1/debate   GET, POST /api/debates /api/v1/debates
            GET /api/debates/search /api/debates/{id} /api/debates/{id}/messages /api/debates/{id}/spectate
            GET /api/v1/debates/search /api/v1/debates/{id} /api/v1/debates/{id}/messages
            /api/v1/debates/{id}/spectate
            POST /api/knowledge/nodes   GET, PUT, DELETE /api/knowledge/nodes/{id}
            GET /api/knowledge/search   POST /api/knowledge/query /api/knowledge/federation/sync
            /api/knowledge/federation/query /api/knowledge/evidence/collect
            /api/knowledge/evidence/{id}/validate
            POST /api/gauntlet/run   GET /api/gauntlet/results /api/gauntlet/{id} /api/gauntlet/{id}/export
            POST /api/v1/canvas/pipeline/from-ideas /api/v1/canvas/pipeline/run
            /api/v1/canvas/pipeline/extract-goals
            GET /api/v1/canvas/pipeline/{id}/status /api/v1/canvas/pipeline/{id}/graph
            /api/v1/canvas/pipeline/{id}/receipt
  WebSocket /ws /ws/stream /ws/debates/{id}

Built-in paths
  /status/{code} /delay/{ms} /bytes/{n} /redirect/{n} /echo   /sse?events=N&every=MS
  WebSocket /ws/echo /ws/orders/{id}

Control (neither counted nor disturbed)
  GET /__stats    counts by path and by endpoint (\"GET /api/debates/{id}\"), of WebSockets (ws) and event streams
                  (sse), of logins and the like (aragora); DELETE empties them
  GET /__log      ?path= or ?prefix=; durations of requests, with messages=true the messages of streams
  POST /__fault   changes the fault by a JSON merge patch; PUT replaces it, GET shows it, DELETE ends it
  DELETE /__state forgets all debates, nodes, tokens and so on
  GET /__ca       the authority of certificates made at the start

Fields of a fault ({when}: {\"every\": k}, {\"after\": n}, {\"first\": n} or {\"rate\": 0.3}; nothing is random)
  which requests  path, exact, method
  what happens    errorRate, status, latencyMs, latency, driftMsPerMinute, stall, hang {when}, reset {when}, drop {when}
  rules           a list of such disturbances
  all requests    freezeMs, partition [paths], ready, leakBytes
  limits          [{path, exact, method, rate, burst, by: ip|token|all}]
  aragora         shape, bareLists, latency, deepMs and
    auth          required, tokens, unknownEmails provision|reject, users, mfa, rotate, lockoutAfter, accessSeconds
    debates       startMs, messageMs, durationMs, tokens, outcomes, stuck {when}, maxRounds, capacity, purgeAfterMs
    jobs          gauntletMs, pipelineMs, failed {when}, verdicts, quota
    sockets       pace subscriber|debate, channelMs, heartbeatMs, plainStatus, origins, messagesPerSecond, burst,
                  maxBytes, connectionsPerIp, connectsPerMinute, refuse {when}, refuseStatus, handshakeMs, dropAfter,
                  dropCode, skip, duplicate, reorder, badJson {when}, readDelayMs
    sse           heartbeatMs, dropAfter

Examples
  testbed --aragora --token secret
  curl -X POST localhost:8080/__fault -d '{\"errorRate\": 0.3}'
  curl -X POST localhost:8080/__fault -d '{\"limits\": [{\"path\": \"/api\", \"rate\": 5, \"burst\": 10}]}'
  curl -X POST localhost:8080/__fault -d '{\"aragora\": {\"debates\": {\"outcomes\": [\"error\"]}}}'
";
