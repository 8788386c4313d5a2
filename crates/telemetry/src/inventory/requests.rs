//! Requests: counts, latencies, and where the time went. One series per request name and window unless said otherwise; filled by
//! `../series/requests.rs`.

use super::{ERROR_TYPE, REQUEST, RUN_AND_WORKER, STATUS, WINDOW, declare};

declare! {
    /// Service time.
    REQUEST_DURATION = "http.client.request.duration", "http_client_request_duration_seconds", Histogram, "s", [REQUEST, WINDOW],
        RUN_AND_WORKER,
        "Service time of requests with a complete response: from the first byte handed to the kernel to the last byte of the response.";
    /// What is judged.
    REQUEST_LATENCY = "plimsoll.request.latency", "plimsoll_request_latency_seconds", Histogram, "s", [REQUEST, WINDOW], RUN_AND_WORKER,
        "Latency from the intended start of a request, the one that SLOs judge. A request without a complete response counts as slower \
         than every bound; the sum covers complete ones.";
    /// Handed to the kernel.
    REQUESTS_SENT = "plimsoll.requests.sent", "plimsoll_requests_sent_total", Counter, "{request}", [REQUEST, WINDOW], RUN_AND_WORKER,
        "Requests handed to the kernel: what the target's own count is compared with.";
    /// Failed.
    REQUESTS_FAILED = "plimsoll.requests.failed", "plimsoll_requests_failed_total", Counter, "{request}", [REQUEST, WINDOW, ERROR_TYPE],
        RUN_AND_WORKER, "Failed requests by cause.";
    /// Without a complete response.
    REQUESTS_INCOMPLETE = "plimsoll.requests.incomplete", "plimsoll_requests_incomplete_total", Counter, "{request}", [REQUEST, WINDOW],
        RUN_AND_WORKER, "Requests without a complete response: failed in between, not sent, or unfinished.";
    /// In flight at the end.
    REQUESTS_UNFINISHED = "plimsoll.requests.unfinished", "plimsoll_requests_unfinished_total", Counter, "{request}", [REQUEST, WINDOW],
        RUN_AND_WORKER, "Requests that were in flight when the run's time to finish was over; part of the incomplete ones.";
    /// Never sent.
    REQUESTS_NOT_SENT = "plimsoll.requests.not_sent", "plimsoll_requests_not_sent_total", Counter, "{request}", [REQUEST, WINDOW],
        RUN_AND_WORKER, "Requests that failed before a byte was sent, or were due and never begun; part of the incomplete ones.";
    /// Repetitions.
    REQUESTS_RETRIED = "plimsoll.requests.retried", "plimsoll_requests_retried_total", Counter, "{request}", [REQUEST, WINDOW],
        RUN_AND_WORKER, "Requests that repeat a failed one.";
    /// By status.
    RESPONSES = "plimsoll.responses", "plimsoll_responses_total", Counter, "{response}", [REQUEST, WINDOW, STATUS], RUN_AND_WORKER,
        "Complete responses by status, expected or not.";
    /// Bytes.
    RECEIVED = "plimsoll.response.received", "plimsoll_response_received_bytes_total", Counter, "By", [REQUEST, WINDOW], RUN_AND_WORKER,
        "Bytes of responses read from sockets.";
    /// Time to first byte.
    FIRST_BYTE = "plimsoll.request.first_byte.duration", "plimsoll_request_first_byte_duration_seconds", Histogram, "s", [REQUEST, WINDOW],
        RUN_AND_WORKER, "From the last byte of a request written to the first byte of its response read.";
    /// Name resolution.
    DNS_DURATION = "plimsoll.connection.dns.duration", "plimsoll_connection_dns_duration_seconds", Histogram, "s", [WINDOW], RUN_AND_WORKER,
        "Name resolution, of connections that were opened for a request and asked for a name.";
    /// TCP handshake.
    CONNECT_DURATION = "plimsoll.connection.connect.duration", "plimsoll_connection_connect_duration_seconds", Histogram, "s", [WINDOW],
        RUN_AND_WORKER, "TCP handshakes, of connections that were opened for a request.";
    /// TLS handshake.
    TLS_DURATION = "plimsoll.connection.tls.duration", "plimsoll_connection_tls_duration_seconds", Histogram, "s", [WINDOW], RUN_AND_WORKER,
        "TLS handshakes, of connections that were opened for a request.";
}
