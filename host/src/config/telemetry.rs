//! `[telemetry]`: traces to a collector, by OpenTelemetry's protocol. Without that table there are none.

use toml::{Table, Value};

use super::Secret;
use super::file::Reader;
use super::reference::names;

/// `[telemetry]`.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// The collector, without `/v1/traces` and without a slash at the end.
    pub otlp_endpoint: String,
    /// What this service is called there.
    pub service_name: String,
    /// Headers of every request to the collector: names, and values that may be credentials.
    pub headers: Vec<(String, Secret)>,
    /// Which part of the requests is traced, 0 to 1; whoever continues a trusted proxy's trace follows its decision.
    pub sampling_ratio: f64,
}

#[expect(clippy::option_option, reason = "wrong, switched off, or a collector")]
pub(super) fn read(reader: &mut Reader, table: &Table) -> Option<Option<TelemetryConfig>> {
    if !table.contains_key("telemetry") {
        return Some(None);
    }
    let telemetry = reader.table(table, "telemetry", &names("telemetry"));
    let hint = "the collector's OTLP/HTTP address: \"http://127.0.0.1:4318\"";
    let endpoint = reader.needed(&telemetry, "telemetry", "otlp_endpoint", hint)?;
    let otlp_endpoint =
        endpoint_of(&endpoint).map_err(|message| reader.problem("telemetry.otlp_endpoint", message, hint)).ok()?;
    let service_name = reader.text(&telemetry, "telemetry", "service_name").unwrap_or_else(|| "defguard-openid".into());
    let sampling_ratio = sampling_ratio(reader, &telemetry)?;
    let headers = headers(reader, &telemetry)?;
    Some(Some(TelemetryConfig { otlp_endpoint, service_name, headers, sampling_ratio }))
}

fn endpoint_of(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).map_err(|error| format!("it isn't a URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a credential: write that into headers_file".into());
    }
    let is_web = matches!(url.scheme(), "http" | "https") && url.host().is_some();
    if !is_web || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{text:?} isn't of the form http://host:port"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn sampling_ratio(reader: &mut Reader, telemetry: &Table) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "0 and 1 are the only whole numbers that are let through")]
    let ratio = match telemetry.get("sampling_ratio") {
        None => Some(1.0),
        Some(Value::Float(ratio)) => Some(*ratio),
        Some(Value::Integer(ratio)) => Some(*ratio as f64),
        Some(_) => None,
    };
    let ratio = ratio.filter(|ratio| (0.0..=1.0).contains(ratio));
    if ratio.is_none() {
        reader.problem("telemetry.sampling_ratio", "expected a number from 0 to 1", "1.0 if it is left out");
    }
    ratio
}

/// `name: value`, one a line, in a file, since they may be credentials.
fn headers(reader: &mut Reader, telemetry: &Table) -> Option<Vec<(String, Secret)>> {
    let Some(file) = reader.text(telemetry, "telemetry", "headers_file") else { return Some(Vec::new()) };
    let path = reader.resolve(&file);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => zeroize::Zeroizing::new(text),
        Err(error) => {
            reader.problem("telemetry.headers_file", format!("{} can't be read: {error}", path.display()), "");
            return None;
        }
    };
    let mut headers = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let pair = line.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
        let pair = pair.filter(|(name, value)| {
            axum::http::HeaderName::try_from(*name).is_ok() && axum::http::HeaderValue::try_from(*value).is_ok()
        });
        let Some((name, value)) = pair else {
            // The line may be a credential: it isn't shown.
            let message = format!("line {} of {} isn't of the form name: value", number + 1, path.display());
            reader.problem("telemetry.headers_file", message, "one header a line");
            return None;
        };
        headers.push((name.to_owned(), Secret::new(value)));
    }
    Some(headers)
}
