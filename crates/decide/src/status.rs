//! The HTTP statuses a denial may have.

/// Whether proxies can be told to answer with `status`: the 4xx of Envoy's `envoy.type.v3.StatusCode`.
///
/// 418, 425 and 451 are not in it and make Envoy reject the answer; a 5xx would look like a failure of ours.
pub(crate) fn is_denial_status(status: u16) -> bool {
    matches!(status, 400..=417 | 421..=424 | 426 | 428 | 429 | 431)
}
