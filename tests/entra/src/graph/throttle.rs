//! Graph's limits for identity and access (throttling-limits): what a request costs in resource units, and how many units an app may
//! use in a tenant in ten seconds. Requests that are refused count too; what goes beyond the limit is carried into the next window.

use std::collections::HashMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;

use super::bearer;
use super::errors::error_response;
use super::settings::Throttling;
use crate::encoding::Parameters;
use crate::seed::Guid;
use crate::world::World;

/// The length of a window in seconds of the emulator's clock.
const WINDOW_S: i64 = 10;
/// From which share of the limit answers tell it, and the largest share that they tell, in percent.
const TOLD_FROM_PERCENT: u64 = 80;
const MOST_PERCENT: u64 = 180;

/// What a request costs.
pub(crate) fn price(uri: &Uri) -> u32 {
    let segments: Vec<&str> =
        uri.path().trim_start_matches("/v1.0").split('/').filter(|part| !part.is_empty()).collect();
    let base = match segments.as_slice() {
        ["users"] => 2,
        ["users", _, "memberOf" | "transitiveMemberOf", ..] => 2,
        ["users", _, "getMemberGroups" | "getMemberObjects"] => 2,
        ["users", _, "checkMemberGroups"] => 4,
        ["groups", _, "members", ..] => 3,
        ["groups", _, "transitiveMembers", ..] => 5,
        ["directoryObjects", "getByIds"] => 3,
        _ => 1,
    };
    let query = Parameters::parse(uri.query().unwrap_or_default().as_bytes());
    let small_page = query.get("$top").and_then(|top| top.parse::<u32>().ok()).is_some_and(|top| top < 20);
    let discount = u32::from(query.get("$select").is_some()) + u32::from(small_page);
    let extra = u32::from(query.get("$expand").is_some());
    (base + extra).saturating_sub(discount).max(1)
}

/// What was used, by app and tenant.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    buckets: HashMap<(Guid, Guid), Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    window_began_unix_s: i64,
    used: u64,
}

impl Bucket {
    /// Counts a request. Answers the share of the limit in percent, and after how many seconds to come again if that is too much.
    fn count(&mut self, price: u32, limit: u32, now_unix_s: i64) -> (u64, Option<i64>) {
        let limit = u64::from(limit.max(1));
        let age = now_unix_s - self.window_began_unix_s;
        if !(0..WINDOW_S).contains(&age) {
            // Long ago or, after the clock was set back, not yet: nothing is owed.
            let carried = if (WINDOW_S..2 * WINDOW_S).contains(&age) { self.used.saturating_sub(limit) } else { 0 };
            // Never the whole of the next window: whoever waits gets on.
            *self = Self { window_began_unix_s: now_unix_s, used: carried.min(limit * 4 / 5) };
        }
        self.used += u64::from(price);
        let wait = self.window_began_unix_s + WINDOW_S - now_unix_s;
        let percent = (self.used * 100 / limit).min(MOST_PERCENT);
        (percent, (self.used > limit).then_some(wait.max(1)))
    }
}

/// A request that was let through: what its answer is to tell.
#[derive(Debug)]
pub(crate) struct Admitted {
    price: u32,
    percent: u64,
}

impl Admitted {
    /// Adds the headers about cost and limit to the answer.
    pub(crate) fn tell(&self, response: &mut Response) {
        if response.status().is_success() {
            response.headers_mut().insert("x-ms-resource-unit", self.price.into());
        }
        tell_percentage(response, self.percent);
    }
}

/// Lets a request through, or refuses it with 429. A request without a genuine token is not counted: it is refused anyway.
pub(crate) fn admit(world: &World, uri: &Uri, headers: &HeaderMap) -> Result<Admitted, Box<Response>> {
    let price = price(uri);
    let throttling = world.state().graph.throttling;
    let free = Admitted { price, percent: 0 };
    if throttling == Throttling::Off {
        return Ok(free);
    }
    let Some((app, tenant)) = bearer::app_and_tenant(world, headers) else { return Ok(free) };
    let mut state = world.state();
    let limit = match throttling {
        Throttling::Off => return Ok(free),
        Throttling::Units(units) => units,
        Throttling::BySize => match state.directory.people_of(&tenant).len() {
            0..50 => 3_500,
            50..=500 => 5_000,
            _ => 8_000,
        },
    };
    let now = world.clock.now_unix_s();
    let fresh = Bucket { window_began_unix_s: now, used: 0 };
    let bucket = state.throttle.buckets.entry((app.clone(), tenant.clone())).or_insert(fresh);
    let (percent, wait) = bucket.count(price, limit, now);
    drop(state);
    match wait {
        None => Ok(Admitted { price, percent }),
        Some(wait) => Err(Box::new(refusal(world, headers, &app, &tenant, price, percent, wait))),
    }
}

fn refusal(
    world: &World,
    headers: &HeaderMap,
    app: &Guid,
    tenant: &Guid,
    price: u32,
    percent: u64,
    wait: i64,
) -> Response {
    let message = "Too many requests from the application to this tenant.";
    let mut response = error_response(world, headers, StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
    let told = [
        (header::RETRY_AFTER, wait.to_string()),
        (HeaderName::from_static("x-ms-resource-unit"), price.to_string()),
        (HeaderName::from_static("x-ms-throttle-scope"), format!("Tenant_Application/ReadWrite/{app}/{tenant}")),
        (HeaderName::from_static("x-ms-throttle-information"), "ResourceUnitLimitExceeded".to_owned()),
    ];
    for (name, value) in told {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    tell_percentage(&mut response, percent);
    response
}

fn tell_percentage(response: &mut Response, percent: u64) {
    if percent > TOLD_FROM_PERCENT
        && let Ok(value) = HeaderValue::from_str(&format!("{}.{:02}", percent / 100, percent % 100))
    {
        response.headers_mut().insert("x-ms-throttle-limit-percentage", value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_costs_what_the_table_says() {
        let table = [
            ("users", "/v1.0/users", 2),
            ("with $select", "/v1.0/users?$select=id", 1),
            ("a small page", "/v1.0/users?$top=19", 1),
            ("a large page", "/v1.0/users?$top=20", 2),
            ("both", "/v1.0/users?$top=1&$select=id", 1),
            ("encoded", "/v1.0/users?%24select=id", 1),
            ("a user", "/v1.0/users/x", 1),
            ("delta", "/v1.0/users/delta", 1),
            ("members", "/v1.0/groups/x/members", 3),
            ("all members", "/v1.0/groups/x/transitiveMembers?$select=id", 4),
            ("memberships", "/v1.0/users/x/transitiveMemberOf/microsoft.graph.group", 2),
            ("check", "/v1.0/users/x/checkMemberGroups", 4),
            ("by ids", "/v1.0/directoryObjects/getByIds", 3),
            ("expanded", "/v1.0/groups?$expand=members", 2),
        ];
        for (name, uri, units) in table {
            assert_eq!(price(&uri.parse().unwrap()), units, "{name}");
        }
    }

    #[test]
    fn a_window_fills_and_what_was_too_much_is_carried_on() {
        let mut bucket = Bucket { window_began_unix_s: 100, used: 0 };
        // name, price, second, share in percent, seconds to wait
        let table = [
            ("some", 8, 100, 80, None),
            ("all", 2, 103, 100, None),
            ("too much", 3, 104, 130, Some(6)),
            ("while throttled", 1, 105, 140, Some(5)),
            ("at most", 20, 106, 180, Some(4)),
            ("the next window begins with what was too much, up to four fifths", 1, 110, 90, None),
            ("and is full sooner", 2, 111, 110, Some(9)),
            ("after a pause nothing is owed", 1, 200, 10, None),
            ("nor after the clock was set back", 1, 50, 10, None),
        ];
        for (name, price, now, percent, wait) in table {
            assert_eq!(bucket.count(price, 10, now), (percent, wait), "{name}");
        }
    }
}
