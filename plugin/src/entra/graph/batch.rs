//! `POST /$batch` (entra_graph §5.4): several requests in one. Each has an answer of its own, with a status and a wait of its own, and
//! counts by itself against the limits; only those that Graph was too busy for are asked again.

use serde_json::{Map, Value, json};

use super::{Call, Fetched, Graph, GraphError, RETRY_AFTER_MS, fetched, pause};
use crate::capability::Response;
use crate::json;

/// Requests of one batch; Graph refuses more.
pub const MAX_REQUESTS: usize = 20;
/// The resource that all of it goes to.
const PATH: &str = "$batch";
/// Graph's root, which addresses in a batch leave out.
const ROOT: &str = "/v1.0";

impl Graph<'_> {
    /// As [`Graph::ask`] with one request. What Graph was too busy for (429, 503, 504) is asked for once more, after the longest wait
    /// that any of the answers asks for, if that is short.
    pub fn ask_in_one(&mut self, calls: &[Call<'_>]) -> Result<Vec<Fetched>, GraphError> {
        if calls.len() > MAX_REQUESTS {
            return Err(GraphError::Shape("can't be asked for: a batch has 20 requests at most"));
        }
        let mut answers: Vec<Option<Response>> = calls.iter().map(|_| None).collect();
        let mut pending: Vec<usize> = (0..calls.len()).collect();
        for attempt in 0..2 {
            for (number, answer) in self.batch(calls, &pending)? {
                if let Some(place) = answers.get_mut(number) {
                    *place = Some(answer);
                }
            }
            let busy: Vec<usize> = pending.iter().copied().filter(|number| is_busy(answers.get(*number))).collect();
            if attempt > 0 || busy.is_empty() || !self.wait_for(&answers, &busy)? {
                break;
            }
            pending = busy;
        }
        let now_s = self.world.clock.now_unix_s();
        answers
            .into_iter()
            .zip(calls)
            .map(|(answer, call)| {
                let answer = answer.ok_or(GraphError::Shape("leaves out one of the requests of a batch"))?;
                Ok(fetched(Ok(answer), call.permissions, now_s))
            })
            .collect()
    }

    /// The answers to some of these, by their number.
    fn batch(&mut self, calls: &[Call<'_>], pending: &[usize]) -> Result<Vec<(usize, Response)>, GraphError> {
        let requests: Vec<Value> =
            pending.iter().filter_map(|number| Some(item(*number, calls.get(*number)?))).collect();
        let body = json!({ "requests": requests });
        let url = self.url(PATH)?;
        let answer = self.send(&Call { url, body: Some(&body), permissions: "" })?;
        let responses = answer.get("responses").and_then(Value::as_array);
        let responses = responses.ok_or(GraphError::Shape("has no responses"))?;
        // In no particular order.
        Ok(responses.iter().filter_map(|response| response.as_object().and_then(answered)).collect())
    }

    /// Waits as long as the most patient of these asks for; whether it did.
    fn wait_for(&mut self, answers: &[Option<Response>], busy: &[usize]) -> Result<bool, GraphError> {
        let (longest, without) = RETRY_AFTER_MS;
        let asked = |number: &usize| {
            let header = answers.get(*number)?.as_ref()?.header("retry-after")?;
            header.trim().parse::<u32>().ok()?.checked_mul(1000)
        };
        let wait = busy.iter().filter_map(asked).max().unwrap_or(without);
        if self.waited || wait > longest || wait >= self.remaining_ms()? {
            return Ok(false);
        }
        self.waited = true;
        Ok(pause(self.world, wait))
    }
}

fn is_busy(answer: Option<&Option<Response>>) -> bool {
    matches!(answer, Some(Some(Response { status: 429 | 503 | 504, .. })))
}

fn item(number: usize, call: &Call<'_>) -> Value {
    let path = call.url.path();
    let path = path.strip_prefix(ROOT).unwrap_or(path);
    let query = call.url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut item = json!({
        "id": number.to_string(),
        "method": if call.body.is_some() { "POST" } else { "GET" },
        "url": format!("{path}{query}"),
    });
    if let (Some(body), Some(fields)) = (call.body, item.as_object_mut()) {
        fields.insert("headers".into(), json!({ "Content-Type": "application/json" }));
        fields.insert("body".into(), body.clone());
    }
    item
}

/// One answer, as if it had come by itself. A body that is an object is JSON, whatever its headers leave out.
fn answered(response: &Map<String, Value>) -> Option<(usize, Response)> {
    let number = response.get("id")?.as_str()?.parse().ok()?;
    let status = response.get("status")?.as_u64().and_then(|status| u16::try_from(status).ok())?;
    let headers = response.get("headers").and_then(Value::as_object).into_iter().flatten();
    let mut headers: Vec<(String, String)> =
        headers.filter_map(|(name, value)| Some((name.to_ascii_lowercase(), value.as_str()?.to_owned()))).collect();
    let body = response.get("body").filter(|body| body.is_object());
    if body.is_some() {
        headers.retain(|(name, _)| name != "content-type");
        headers.push(("content-type".into(), "application/json".into()));
    }
    let body = body.map(|body| json::text(body).into_bytes()).unwrap_or_default();
    Some((number, Response { status, headers, body }))
}
