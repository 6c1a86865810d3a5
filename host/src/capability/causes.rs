//! What an error of the HTTP library has inside: the TLS library's own error, and the causes without the address, whose
//! path and query are nobody's business.

/// The TLS library's error, which io::Error wraps, several times over, where `source` doesn't reach.
pub(crate) fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    match error.downcast_ref::<rustls::Error>() {
        Some(tls) => Some(tls),
        None => tls_error(error.downcast_ref::<std::io::Error>()?.get_ref()?),
    }
}

/// An error and its causes, without reqwest's URL.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = match error.source() {
        // The outermost text of reqwest holds the URL with its query.
        Some(_) => String::new(),
        None => error.to_string().split(" for url ").next().unwrap_or_default().to_owned(),
    };
    let mut source = error.source();
    while let Some(cause) = source {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
