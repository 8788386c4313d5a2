//! Logins, tokens and sessions. A token is good if this server gave it out, it is not too old and nobody has logged
//! out with it; nothing else is.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::{Value, json};

use super::Call;
use super::answers::{ok, problem, text};
use super::live::Live;
use super::settings::Unknown;
use super::world::Books;
use crate::reply::Reply;

/// Accounts that are remembered; with more, every first login is a first one.
const MAX_ACCOUNTS: usize = 1_000_000;

/// An access token.
#[derive(Debug)]
pub(super) struct Access {
    email: String,
    refresh: String,
    since: Instant,
}

/// A refresh token.
#[derive(Debug)]
pub(super) struct Refresh {
    email: String,
}

/// A login that waits for its second factor.
#[derive(Debug)]
pub(super) struct Pending {
    email: String,
}

/// Whether a token is good now.
pub(crate) fn is_good(live: &Live, books: &Books, token: &str, now: Instant) -> bool {
    live.settings.auth.tokens.iter().any(|known| known == token) || current(live, books, token, now).is_some()
}

/// The access token, if it was given out and is not too old.
fn current<'a>(live: &Live, books: &'a Books, token: &str, now: Instant) -> Option<&'a Access> {
    let life = Duration::from_secs(live.settings.auth.access_seconds.into());
    books.access.get(token).filter(|access| now.saturating_duration_since(access.since) < life)
}

/// Checks the request's token; the refusal otherwise.
pub(super) fn check(call: &Call<'_>) -> Result<(), Reply> {
    let token = call.request.bearer();
    let mut books = call.books();
    if token.as_ref().is_some_and(|token| is_good(call.live, &books, token, call.request.at)) {
        return Ok(());
    }
    books.counts.unauthorized += 1;
    let error = if token.is_some() { "the token is not valid" } else { "a bearer token is missing" };
    Err(unauthorized(error))
}

fn unauthorized(error: &str) -> Reply {
    problem(StatusCode::UNAUTHORIZED, error)
}

/// The token's account; nothing for a token of the settings.
fn account(call: &Call<'_>, books: &Books) -> Option<String> {
    let token = call.request.bearer()?;
    books.access.get(&token).map(|access| access.email.clone())
}

/// `POST /api/auth/login`.
pub(super) fn login(call: &Call<'_>) -> Result<Reply, Reply> {
    let body = call.body()?;
    let (email, password) = (text(&body, "email")?, text(&body, "password")?);
    let auth = &call.settings().auth;
    let mut books = call.books();
    let failures = books.failures.get(&email).copied().unwrap_or(0);
    if auth.lockout_after > 0 && failures >= auth.lockout_after {
        books.counts.logins_rejected += 1;
        let error = json!({"error": "too many failed logins; rate limit exceeded", "code": "account_locked", "retry_after": 60});
        let reply = Reply::json(StatusCode::TOO_MANY_REQUESTS, &error);
        return Ok(reply.with_numbers(&[("retry-after", 60)]));
    }
    let known = auth.users.get(&email).or_else(|| books.passwords.get(&email)).cloned();
    let right = match known {
        Some(known) => known == password,
        None => auth.unknown_emails == Unknown::Provision,
    };
    if !right {
        books.counts.logins_rejected += 1;
        if auth.lockout_after > 0 {
            *books.failures.entry(email).or_default() += 1;
        }
        return Err(unauthorized("the e-mail address or the password is wrong"));
    }
    books.failures.remove(&email);
    if !auth.users.contains_key(&email) && books.passwords.len() < MAX_ACCOUNTS {
        books.passwords.insert(email.clone(), password);
    }
    if auth.mfa {
        let token = books.pending.add(|_, _| Pending { email });
        return Ok(ok(&json!({"mfa_required": true, "pending_token": token})));
    }
    books.counts.logins += 1;
    Ok(ok(&tokens(call, &mut books, &email)))
}

/// Gives out tokens, in the form of the shape in use.
fn tokens(call: &Call<'_>, books: &mut Books, email: &str) -> Value {
    let refresh = books.refresh.add(|_, _| Refresh { email: email.to_owned() });
    let access = give_access(call, books, email, &refresh);
    let user = json!({"email": email, "role": "member"});
    let given = json!({
        "access_token": access,
        "refresh_token": refresh,
        "token_type": "bearer",
        "expires_in": call.settings().auth.access_seconds,
    });
    if call.is_real() {
        return json!({"user": user, "tokens": given, "organization": {"id": "org-1", "name": "testbed"}});
    }
    let mut given = given;
    given["user"] = user;
    given
}

fn give_access(call: &Call<'_>, books: &mut Books, email: &str, refresh: &str) -> String {
    let (email, refresh) = (email.to_owned(), refresh.to_owned());
    books.access.add(|_, _| Access { email, refresh, since: call.request.at })
}

/// `POST /api/auth/refresh`: a new access token, and with rotation a new refresh token in place of the old one.
pub(super) fn refresh(call: &Call<'_>) -> Result<Reply, Reply> {
    let body = call.body()?;
    let old = text(&body, "refresh_token")?;
    let mut books = call.books();
    let Some(email) = books.refresh.get(&old).map(|refresh| refresh.email.clone()) else {
        books.counts.refreshes_rejected += 1;
        return Err(unauthorized("the refresh token is not valid"));
    };
    books.counts.refreshes += 1;
    let given = if call.settings().auth.rotate {
        books.refresh.remove(&old);
        books.refresh.add(|_, _| Refresh { email: email.clone() })
    } else {
        old
    };
    let access = give_access(call, &mut books, &email, &given);
    let document = json!({
        "access_token": access,
        "refresh_token": given,
        "token_type": "bearer",
        "expires_in": call.settings().auth.access_seconds,
    });
    Ok(ok(&if call.is_real() { json!({ "tokens": document }) } else { document }))
}

/// `GET /api/auth/session`.
pub(super) fn session(call: &Call<'_>) -> Result<Reply, Reply> {
    let books = call.books();
    let email = account(call, &books);
    let life = call.settings().auth.access_seconds;
    let token = call.request.bearer().unwrap_or_default();
    let since =
        current(call.live, &books, &token, call.request.at).map_or(call.request.at, |access| access.since);
    let expires = call.stamp(since + Duration::from_secs(life.into()));
    Ok(ok(&json!({"user": {"email": email, "role": "member"}, "expires": expires})))
}

/// `POST /api/auth/logout`: the token and its refresh token are good no more.
pub(super) fn logout(call: &Call<'_>) -> Result<Reply, Reply> {
    let token = call.request.bearer().unwrap_or_default();
    let mut books = call.books();
    if let Some(access) = books.access.remove(&token) {
        books.refresh.remove(&access.refresh);
        books.counts.logouts += 1;
    }
    Ok(ok(&json!({"success": true})))
}

/// `POST /api/auth/mfa/challenge`.
pub(super) fn challenge(call: &Call<'_>) -> Result<Reply, Reply> {
    let mut books = call.books();
    let email = account(call, &books).unwrap_or_default();
    let id = books.pending.add(|_, _| Pending { email });
    Ok(ok(&json!({"challenge_id": id, "method": "totp"})))
}

/// `POST /api/auth/mfa/verify`: ends a login with any code of six digits but `000000`.
pub(super) fn verify(call: &Call<'_>) -> Result<Reply, Reply> {
    let body = call.body()?;
    let (token, code) = (text(&body, "pending_token")?, text(&body, "code")?);
    let mut books = call.books();
    let wrong = code.len() != 6 || code == "000000" || !code.bytes().all(|byte| byte.is_ascii_digit());
    if wrong || books.pending.get(&token).is_none() {
        books.counts.logins_rejected += 1;
        return Err(unauthorized("the pending token or the code is wrong"));
    }
    let email = books.pending.remove(&token).map(|pending| pending.email).unwrap_or_default();
    books.counts.logins += 1;
    Ok(ok(&tokens(call, &mut books, &email)))
}

/// `GET /api/auth/sso/{provider}/authorize`.
pub(super) fn sso(call: &Call<'_>) -> Result<Reply, Reply> {
    let provider = call.id;
    if !["google", "github", "microsoft"].contains(&provider) {
        return Err(problem(StatusCode::NOT_FOUND, &format!("there is no provider {provider}")));
    }
    let location = format!("https://{provider}.example/authorize?client_id=testbed&state=1");
    let reply = Reply::json(StatusCode::FOUND, &json!({ "authorization_url": location }));
    reply
        .with_header("location", &location)
        .map_err(|error| problem(StatusCode::INTERNAL_SERVER_ERROR, &error))
}
