//! The service that is there without any configuration: a few realistic routes, an answer for every other
//! path, and paths that say themselves what they answer. `config.rs` and `table.rs` use it.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::aragora::matches;
use crate::law::{self, Latency};
use crate::reply::{self, Reply};
use crate::route::{Body, Route};
use crate::websocket::{Door, ECHO, ORDER};

/// What a path that says itself what it answers means.
#[derive(Debug)]
pub(crate) enum Builtin {
    /// An answer that is the same every time, after a delay.
    Fixed(Duration, Reply),
    /// The request, told back.
    Echo,
    /// A counting event stream.
    Sse,
    /// A WebSocket.
    Socket(&'static Door),
}

/// The routes of the default service.
pub(crate) fn default_routes() -> Vec<Route> {
    let html = "<!doctype html><title>testbed</title><h1>It answers.</h1>";
    let items: Vec<Value> = (1..=5)
        .map(|i| json!({"id": i.to_string(), "name": format!("item {i}"), "price": i * 250}))
        .collect();
    vec![
        Route {
            headers: [("content-type".to_owned(), "text/html; charset=utf-8".to_owned())].into(),
            body: Body::Text(html.into()),
            latency: Latency::Sequence(vec![2.0, 3.0, 2.0, 2.0, 4.0]),
            ..Route::at("/")
        },
        Route {
            body: Body::Json(json!({"status": "ok"})),
            latency: Latency::Constant(1.0),
            ..Route::at("/healthz")
        },
        Route {
            body: Body::Json(json!({"items": items})),
            latency: Latency::Sequence(vec![3.0, 4.0, 3.0, 5.0]),
            ..Route::at("/api/items")
        },
        Route { body: order("new"), latency: Latency::Sequence(vec![4.0, 6.0]), ..Route::at("/orders") },
        Route { body: order("paid"), latency: Latency::Sequence(vec![2.0, 3.0]), ..Route::under("/orders/") },
    ]
}

/// The order of the default service.
fn order(state: &str) -> Body {
    Body::Json(
        json!({"id": "1", "status": "ok", "state": state, "total": 1250, "access_token": "testbed-token"}),
    )
}

/// The answer of the default service to a path that it does not know: a document with what scripts usually
/// take from a response, in 2 to 5 ms.
pub(crate) fn default_fallback() -> Route {
    Route {
        body: Body::Json(json!({"id": "1", "status": "ok", "access_token": "testbed-token"})),
        latency: Latency::Sequence(vec![2.0, 3.0, 2.0, 4.0, 3.0, 2.0, 5.0, 3.0]),
        ..Route::default()
    }
}

/// The built-in meaning of a path, if it has one. A value that makes no sense is answered with 400 and the reason.
pub(crate) fn find(path: &str) -> Option<Builtin> {
    match path {
        "/echo" => return Some(Builtin::Echo),
        "/sse" => return Some(Builtin::Sse),
        "/ws/echo" => return Some(Builtin::Socket(&ECHO)),
        _ if matches(ORDER.pattern, path) => return Some(Builtin::Socket(&ORDER)),
        _ => {}
    }
    let (name, value) = path.strip_prefix('/')?.split_once('/')?;
    let answer = match name {
        "status" => status(value),
        "delay" => delayed(value),
        "bytes" => bytes(value),
        "redirect" => redirect(value),
        _ => return None,
    };
    let (wait, reply) = answer.unwrap_or_else(|problem| {
        (
            Duration::ZERO,
            Reply::json(StatusCode::BAD_REQUEST, &json!({"error": format!("{path}: {problem}")})),
        )
    });
    Some(Builtin::Fixed(wait, reply))
}

type Answer = Result<(Duration, Reply), String>;

fn status(value: &str) -> Answer {
    let code = reply::status(value.parse().map_err(|_| "use /status/{code}, for example /status/503")?)?;
    Ok((Duration::ZERO, Reply::json(code, &json!({"status": code.as_u16()}))))
}

fn delayed(value: &str) -> Answer {
    let ms: f64 = value.parse().map_err(|_| "use /delay/{milliseconds}, for example /delay/20")?;
    Ok((law::delay(ms)?, Reply::json(StatusCode::OK, &json!({"delayMs": ms}))))
}

fn bytes(value: &str) -> Answer {
    let count = value.parse().map_err(|_| "use /bytes/{count}, for example /bytes/20000")?;
    let body = reply::filler(count)?;
    Ok((Duration::ZERO, Reply::new(StatusCode::OK, "application/octet-stream", body)))
}

fn redirect(value: &str) -> Answer {
    let hops: u32 = value.parse().map_err(|_| "use /redirect/{hops}, for example /redirect/3")?;
    let Some(left) = hops.checked_sub(1) else {
        return Ok((Duration::ZERO, Reply::json(StatusCode::OK, &json!({"redirectsLeft": 0}))));
    };
    let location = format!("/redirect/{left}");
    let reply = Reply::json(StatusCode::FOUND, &json!({"redirectsLeft": hops}));
    Ok((Duration::ZERO, reply.with_header("location", &location)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(path: &str) -> (Duration, Reply) {
        match find(path) {
            Some(Builtin::Fixed(wait, reply)) => (wait, reply),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn paths_say_what_they_answer() {
        assert_eq!(fixed("/status/503").1.status, 503);
        assert_eq!(fixed("/delay/2.5").0, Duration::from_micros(2500));
        assert_eq!(fixed("/bytes/70000").1.body.len(), 70_000);
        assert_eq!(fixed("/redirect/2").1.header("location").as_deref(), Some("/redirect/1"));
        assert_eq!(fixed("/redirect/0").1.status, 200);
        assert!(find("/api/items").is_none() && find("/status").is_none());
    }

    #[test]
    fn senseless_values_are_explained() {
        for path in ["/status/42", "/status/x", "/delay/-1", "/bytes/99999999999", "/redirect/many"] {
            let reply = fixed(path).1;
            assert_eq!(reply.status, 400, "{path}");
            assert!(String::from_utf8_lossy(&reply.body).contains(path), "{path}");
        }
    }
}
