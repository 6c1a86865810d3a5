//! What the pages load: a style sheet, a script that pages work without, and the providers' logos. All of it is ours, or the
//! administrator's own file.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::config::{Logo, ProviderKind};
use crate::gateway::Gateway;

const AN_HOUR: (header::HeaderName, &str) = (header::CACHE_CONTROL, "public, max-age=3600");

/// `GET /openid/assets/style.css`.
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), AN_HOUR], include_str!("style.css")).into_response()
}

/// `GET /openid/assets/page.js`.
pub(super) async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8"), AN_HOUR], include_str!("page.js")).into_response()
}

/// `GET /openid/assets/logo/{provider}`.
pub(super) async fn logo(State(gateway): State<Arc<Gateway>>, Path(provider): Path<String>) -> Response {
    let Ok(provider) = gateway.provider(Some(&provider)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let built_in = match provider.kind {
        ProviderKind::Microsoft => include_str!("microsoft.svg"),
        ProviderKind::Oidc => include_str!("openid.svg"),
    };
    match &provider.logo {
        Some(Logo { media_type, bytes }) => {
            ([(header::CONTENT_TYPE, *media_type), AN_HOUR], bytes.clone()).into_response()
        }
        None => ([(header::CONTENT_TYPE, Logo::SVG), AN_HOUR], built_in).into_response(),
    }
}
